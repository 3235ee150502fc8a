import { HubError } from "../hub/errors.ts";
import type { Host, HubPort } from "./host.ts";

/** How many hubs are asked at the same time. */
const AT_ONCE = 50;

type HubsAndLog = Pick<Host, "hubs" | "logger">;

/** An action at the hub of a channel. */
export type Act<Outcome> = (hub: HubPort, channel: string) => Promise<Outcome>;

/** Reads a list of channels page by page, in the order of their names. `after` is the last name of the page before. */
export type Pages = (after?: string) => Promise<readonly string[]>;

/**
 * Acts on every channel of a list, some at a time.
 *
 * @throws HubError `hub_unreachable` if a channel failed. All others are done by then, and the caller can ask again.
 */
export async function onListed<Outcome>(
  host: HubsAndLog,
  pages: Pages,
  act: Act<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let asked = 0;
  let page = await pages();
  while (page.length > 0) {
    asked += page.length;
    outcomes.push(...(await inTurn(host, page, act)));
    page = await pages(page.at(-1));
  }
  if (outcomes.length < asked) {
    const missed = asked - outcomes.length;
    throw new HubError(
      "hub_unreachable",
      `${missed} of ${asked} channels could not be reached. The log names them. Send the same request again.`,
    );
  }
  return outcomes;
}

/** Acts on many channels, some at a time, and leaves out those that fail. */
export async function inTurn<Outcome>(
  host: HubsAndLog,
  channels: readonly string[],
  act: Act<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let start = 0; start < channels.length; start += AT_ONCE) {
    outcomes.push(...(await together(host, channels.slice(start, start + AT_ONCE), act)));
  }
  return outcomes;
}

/** Acts on all these channels at the same time. A channel that fails is logged and left out. */
export async function together<Outcome>(
  host: HubsAndLog,
  channels: readonly string[],
  act: Act<Outcome>,
): Promise<Outcome[]> {
  const acts = channels.map(async (channel) => {
    try {
      return [await act(host.hubs.of(channel), channel)];
    } catch (error) {
      host.logger("error", "hub_unreachable", { channel, error: String(error) });
      return [];
    }
  });
  return (await Promise.all(acts)).flat();
}
