import { flood, type FloodRequest } from "../flood.ts";
import { residentKilobytes } from "../process-usage.ts";
import type { Row } from "../row.ts";
import { startService } from "../service.ts";
import { median, percentile } from "../statistics.ts";
import { meanUsage } from "../usage.ts";
import { openSide, playRound, type Round } from "./latency.ts";

const LOAD = { clients: 100, eventsPerSecond: 20 };
const PER_SECOND = 500;
const ROUNDS = 2;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 1.5;

/** The last byte of the first attacker's address. */
const FIRST_ATTACKER = 66;

const PREFIXES = Array.from({ length: 100 }, (_, index) => `type_${index}_*`).join(",");
const JSON_BODY = { "Content-Type": "application/json" };
const WRONG_TOKEN = { Authorization: "Bearer a-token-that-nobody-gave-out" };

/** The floods: to each route, the request with which an attacker without a token causes the most work. */
const FLOODS: Readonly<Record<string, FloodRequest>> = {
  stream: { path: "/api/events?channel=latency" },
  "no stream": { path: "/api/events?channel=latency", headers: { Accept: "text/html" } },
  "new channels": { path: "/api/events?channel=flood-{n}" },
  history: { path: `/api/history?channel=latency&limit=1000&types=${PREFIXES}` },
  tickets: { path: "/api/tickets", method: "POST" },
  health: { path: "/health?channel=flood-{n}" },
  metrics: { path: "/metrics" },
  publish: {
    path: "/api/publish?channel=latency",
    method: "POST",
    headers: { ...JSON_BODY, ...WRONG_TOKEN },
    body: "[]",
  },
  admin: { path: "/api/admin/clients?channel=latency", headers: WRONG_TOKEN },
  cookie: { path: "/api/publish", method: "POST", headers: { Cookie: `a${" ".repeat(12_000)}a` } },
  query: { path: `/health?${"=1&".repeat(4_000)}` },
  "unknown path": { path: "/nothing/{n}" },
  file: { path: "/sse-client.js" },
};

/** Compares the delivery to streaming clients while one address floods a route with a quiet round before it. */
export const floodRow: Row = {
  name: "flood",
  title: `${LOAD.clients} clients, ${LOAD.eventsPerSecond} events/s, ${PER_SECOND} hostile requests/s to each route in turn`,
  measure: async ({ cleanup, host, seconds = null }) => {
    const side = await openSide(await startService(cleanup, { host }), LOAD, cleanup);
    const length = seconds ?? ROUND_SECONDS;
    const { pid, port } = side.host;
    // Each flood has its own address, so that it has a whole budget. The clients have another address.
    const attack = (request: FloodRequest, lastByte: number): ReturnType<typeof flood> =>
      flood({
        origin: `http://127.0.0.1:${port}`,
        requests: [{ ...request, localAddress: `127.0.0.${lastByte}` }],
        perSecond: PER_SECOND,
        seconds: length,
      });
    await playRound(side, LOAD, WARM_UP_SECONDS);
    const residentBefore = residentKilobytes(pid);
    const all: Played[] = [];
    const notes: string[] = [];
    for (const [index, [name, request]] of Object.entries(FLOODS).entries()) {
      const played: Played[] = [];
      const statuses: Record<string, number> = {};
      for (let round = 0; round < ROUNDS; round++) {
        const quiet = await playRound(side, LOAD, length);
        const [flooded, answers] = await Promise.all([
          playRound(side, LOAD, length),
          attack(request, FIRST_ATTACKER + index),
        ]);
        played.push({ quiet, flooded });
        for (const [status, count] of Object.entries(answers)) {
          statuses[status] = (statuses[status] ?? 0) + count;
        }
      }
      all.push(...played);
      notes.push(
        `${name}: P99 quiet ${p99(played, "quiet").toFixed(1)}, flooded ${p99(played, "flooded").toFixed(1)} ms; answers ${JSON.stringify(statuses)}`,
      );
    }
    const ratios = all.map(({ quiet, flooded }) => p99Of(flooded) / p99Of(quiet));
    return {
      measures: [
        { what: "P99, quiet", value: p99(all, "quiet"), unit: "ms" },
        { what: "P99, flooded", value: p99(all, "flooded"), unit: "ms" },
        {
          what: "flooded / quiet, median",
          value: median(ratios),
          unit: "x",
          bound: { is: "below", must: 2, aim: 1.5 },
        },
        { what: "the worst round", value: Math.max(...ratios), unit: "x" },
        { what: "growth of memory", value: (residentKilobytes(pid) - residentBefore) / 1024, unit: "MiB" },
      ],
      usage: {
        quiet: meanUsage(all.map(({ quiet }) => quiet.usage)),
        flooded: meanUsage(all.map(({ flooded }) => flooded.usage)),
      },
      notes,
    };
  },
};

/** A quiet round, and the flooded one after it. */
interface Played {
  readonly quiet: Round;
  readonly flooded: Round;
}

function p99Of({ latenciesMs }: Round): number {
  return percentile(latenciesMs, 99);
}

function p99(played: readonly Played[], side: keyof Played): number {
  return median(played.map((one) => p99Of(one[side])));
}
