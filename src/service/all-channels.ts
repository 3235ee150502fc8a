import { HubError } from "../hub/errors.ts";
import type { Host, HubPort } from "./host.ts";

/** Channels that are asked at the same time. */
const AT_ONCE = 50;

type HubsAndLog = Pick<Host, "hubs" | "logger">;

/** Something to do at the hub of a channel. */
export type Act<Outcome> = (hub: HubPort, channel: string) => Promise<Outcome>;

/** Some of the channels that the directory knows, page by page: those after a name, in the order of their names. */
export type Pages = (after?: string) => Promise<readonly string[]>;

/**
 * Acts on every channel of a list, some at a time.
 *
 * @throws HubError `hub_unreachable` if some were missed, once all others are done: who asks again loses nothing.
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
      `${missed} of ${asked} channels cannot be reached. The log names them.`,
    );
  }
  return outcomes;
}

/** Acts on many channels, some at a time. */
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

/** Acts on channels at the same time. One that is broken is logged, and does not keep the others from it. */
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
