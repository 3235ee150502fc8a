import type { Bound, Measure, Row } from "../row.ts";
import { requireRelays, startService } from "../service.ts";
import { median, percentile } from "../statistics.ts";
import { meanUsage } from "../usage.ts";
import { CHANNEL, openSide, playRound, type Round, type Side } from "./latency.ts";

const LOAD = { clients: 100, eventsPerSecond: 50 };

/** What a relay may add, in milliseconds. */
const BOUNDS: Readonly<Record<50 | 95, Bound>> = {
  50: { is: "below", must: 2, aim: 1 },
  95: { is: "below", must: 5, aim: 2 },
};

const ROUNDS = 8;
const ROUND_SECONDS = 2.5;
const WARM_UP_SECONDS = 1.5;

/** The latency through a relay against that of the same service without relays, round by round in one run. */
export const relayLatency: Row = {
  name: "relay-latency",
  title: `what a relay adds to the latency, ${LOAD.clients} clients, ${LOAD.eventsPerSecond} events/s`,
  hosts: ["workerd"],
  measure: async ({ cleanup, seconds, host }) => {
    const plain = await openSide(await startService(cleanup, { host }), LOAD, cleanup);
    const relayed = await openSide(
      await startService(cleanup, { host, clientsPerObject: 500 }),
      LOAD,
      cleanup,
    );
    await requireRelays(relayed.host, CHANNEL, 1);
    const rounds = new Map<Side, Round[]>([
      [plain, []],
      [relayed, []],
    ]);
    for (const side of rounds.keys()) {
      await playRound(side, LOAD, WARM_UP_SECONDS);
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const [side, played] of rounds) {
        played.push(await playRound(side, LOAD, seconds ?? ROUND_SECONDS));
      }
    }
    const each = (side: Side, percent: 50 | 95): number[] =>
      (rounds.get(side) ?? []).map(({ latenciesMs }) => percentile(latenciesMs, percent));
    const added = (percent: 50 | 95): Measure => {
      const before = each(plain, percent);
      return {
        what: `added at P${percent}`,
        value: median(each(relayed, percent).map((ms, round) => ms - (before[round] ?? Number.NaN))),
        unit: "ms",
        bound: BOUNDS[percent],
      };
    };
    const usageOf = (side: Side) => meanUsage((rounds.get(side) ?? []).map(({ usage }) => usage));
    return {
      measures: [
        added(50),
        added(95),
        { what: "P50 with a relay", value: median(each(relayed, 50)), unit: "ms" },
        { what: "P95 with a relay", value: median(each(relayed, 95)), unit: "ms" },
      ],
      usage: { relayed: usageOf(relayed), plain: usageOf(plain) },
      notes: ([50, 95] as const).flatMap((percent) =>
        [plain, relayed].map(
          (side) =>
            `P${percent} ${side === plain ? "without" : "with a"} relay: ` +
            `${each(side, percent)
              .map((ms) => ms.toFixed(1))
              .join(" ")} ms`,
        ),
      ),
    };
  },
};
