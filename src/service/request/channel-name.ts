import { grantsChannel, type Grant } from "../../auth/grant.ts";
import { isListed } from "../../hub/pattern.ts";
import { Problem } from "../response/problem.ts";

const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Whether a text has the form of a channel's name. */
export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

/**
 * Lets only the channels through that the configuration allows: any other name creates no object.
 *
 * @param allowed names, prefixes ending in `*`, or `*` for every name.
 * @param grant of whoever reads: a channel beyond it cannot be told from one that does not exist.
 * @throws Problem `unknown_channel`
 */
export function requireAllowed(channel: string, allowed: readonly string[], grant: Grant = {}): void {
  if (!isListed(channel, allowed) || !grantsChannel(grant, channel)) {
    throw new Problem("unknown_channel", "There is no such channel.");
  }
}
