import { flood, type FloodRequest } from "../flood.ts";
import { residentKilobytes } from "../process-usage.ts";
import type { Row } from "../row.ts";
import { startService } from "../service.ts";
import { median, percentile } from "../statistics.ts";
import { meanUsage } from "../usage.ts";
import { openSide, playRound, type Round } from "./latency.ts";

const LOAD = { clients: 100, eventsPerSecond: 20 };
const PER_SECOND = 500;
const ROUNDS = 5;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 1.5;

/** Refused in turn: who asks too often, and who wants no stream. */
const REFUSED: readonly FloodRequest[] = [
  { localAddress: "127.0.0.66" },
  { headers: { Accept: "text/html" } },
];

/** The delivery to streaming clients while others are refused as fast as they come, against a quiet time. */
export const floodRow: Row = {
  name: "flood",
  title: `${LOAD.clients} clients, ${LOAD.eventsPerSecond} events/s, ${PER_SECOND} refused connects/s`,
  measure: async ({ cleanup, seconds = null }) => {
    const side = await openSide(await startService(cleanup, { connectsPerMinute: 1 }), LOAD, cleanup);
    const length = seconds ?? ROUND_SECONDS;
    const { pid, port } = side.host;
    const url = `http://127.0.0.1:${port}${side.host.eventsPath("latency")}`;
    const refuse = (during: number): ReturnType<typeof flood> =>
      flood({ url, requests: REFUSED, perSecond: PER_SECOND, seconds: during });
    await Promise.all([playRound(side, LOAD, WARM_UP_SECONDS), refuse(WARM_UP_SECONDS)]);
    const residentBefore = residentKilobytes(pid);
    const quiet: Round[] = [];
    const flooded: Round[] = [];
    const statuses: Record<string, number> = {};
    for (let round = 0; round < ROUNDS; round++) {
      quiet.push(await playRound(side, LOAD, length));
      const [played, answers] = await Promise.all([playRound(side, LOAD, length), refuse(length)]);
      flooded.push(played);
      for (const [status, count] of Object.entries(answers)) {
        statuses[status] = (statuses[status] ?? 0) + count;
      }
    }
    const grownMiB = (residentKilobytes(pid) - residentBefore) / 1024;
    return {
      measures: [
        { what: "P99, quiet", value: median(p99(quiet)), unit: "ms" },
        { what: "P99, flooded", value: median(p99(flooded)), unit: "ms" },
        {
          what: "flooded against quiet",
          value: median(p99(flooded)) / median(p99(quiet)),
          unit: "x",
          bound: { is: "below", must: 2, aim: 1.5 },
        },
        { what: "memory after it all", value: grownMiB, unit: "MiB" },
      ],
      usage: {
        quiet: meanUsage(quiet.map(({ usage }) => usage)),
        flooded: meanUsage(flooded.map(({ usage }) => usage)),
      },
      notes: [
        `P99 of each round: quiet ${shown(quiet)}, flooded ${shown(flooded)} ms`,
        `answers to the flood, by status: ${JSON.stringify(statuses)}`,
      ],
    };
  },
};

function p99(rounds: readonly Round[]): number[] {
  return rounds.map(({ latenciesMs }) => percentile(latenciesMs, 99));
}

function shown(rounds: readonly Round[]): string {
  return p99(rounds)
    .map((ms) => ms.toFixed(1))
    .join(" ");
}
