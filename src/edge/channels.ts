import { HubError } from "../hub/errors.ts";

const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Whether a text has the form of a channel's name. */
export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

/**
 * Lets only the channels through that the configuration allows: any other name creates no object.
 *
 * @param allowed names, prefixes ending in `*`, or `*` for every name.
 * @throws HubError `unknown_channel`
 */
export function requireAllowed(channel: string, allowed: readonly string[]): void {
  const isAllowed = allowed.some((pattern) =>
    pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern,
  );
  if (!isAllowed) {
    throw new HubError("unknown_channel", "There is no such channel.");
  }
}
