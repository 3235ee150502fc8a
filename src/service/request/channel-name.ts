import { grantsChannel, type Grant } from "../../auth/grant.ts";
import { isListed } from "../../hub/pattern.ts";
import { Problem } from "../response/problem.ts";

const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** The form of a channel name, for error details. */
export const CHANNEL_FORM = "a name of the form [a-z0-9][a-z0-9_-]{0,63}";

/** The channel of a request that names none. */
export const DEFAULT_CHANNEL = "default";

/** Whether a text has the form of a channel name. */
export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

/**
 * Refuses a channel that the configuration does not allow, before its object is created. A channel that the reader's
 * grant does not cover gets the same answer, so that a token does not reveal which channels exist.
 *
 * @param allowed names, prefixes ending in `*`, or `*` for every name
 * @throws Problem `unknown_channel`
 */
export function requireAllowed(channel: string, allowed: readonly string[], grant: Grant = {}): void {
  if (!isListed(channel, allowed) || !grantsChannel(grant, channel)) {
    throw new Problem(
      "unknown_channel",
      "There is no such channel. The operator lists the channels in channels.allowed of config.yaml.",
    );
  }
}
