import { z } from "zod";

import { reportRepeated, section } from "./parts.ts";

/** A channel name, a prefix ending in `*`, or `*` for every name. */
const channelPattern = z
  .string({ error: 'a channel name, a prefix ending in *, or "*"' })
  .regex(/^(?:\*|[a-z0-9][a-z0-9_-]{0,63}\*?)$/, {
    error: 'a channel name ([a-z0-9][a-z0-9_-]{0,63}), a prefix of one ending in *, or "*"',
  });

/** Channels. */
export const channels = section({
  /**
   * The channels that may be used: names (`default`), prefixes (`board-*`), or `"*"` for every valid name. A request
   * for any other channel is answered with 404 and creates nothing. At least one entry. Default `[default]`, which is
   * also the channel of a request that names none.
   */
  allowed: z
    .array(channelPattern, { error: "a list of channel names" })
    .min(1, { error: "a list of at least one channel name" })
    .superRefine(reportRepeated("a channel that is not in the list yet"))
    .default(["default"]),
});
