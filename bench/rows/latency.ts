import { setTimeout as sleep } from "node:timers/promises";

import type { Cleanup } from "../cleanup.ts";
import { eventOf } from "../event.ts";
import { startFloor } from "../floor/floor.ts";
import { startGenerator, type Generator } from "../generator.ts";
import type { Host } from "../host.ts";
import { startNode } from "../node/node.ts";
import { openPublisher, type Publisher } from "../publisher.ts";
import type { Bound, Measure, Outcome, Row } from "../row.ts";
import { startService, type ServiceHost } from "../service.ts";
import { median, percentile } from "../statistics.ts";
import { meanUsage, meterUsage, type Usage } from "../usage.ts";

export interface Load {
  readonly clients: number;
  readonly eventsPerSecond: number;
  readonly percentile: 95 | 99;
  readonly bound: Bound;
  /** How many times the latency of a raw Node server each host may take. Absent: it is not bounded. */
  readonly againstNode: Partial<Record<ServiceHost, Bound>>;
}

/** The channel of the clients. */
export const CHANNEL = "latency";

const ROUNDS = 5;
const ROUND_SECONDS = 2.5;
const WARM_UP_SECONDS = 1.5;

/** The latency from publish call to receipt, of every event at every client, at a steady pace. */
export function latencyRow(name: string, load: Load): Row {
  return {
    name,
    title: `delivery latency, ${load.clients} clients, ${load.eventsPerSecond} events/s`,
    measure: async ({ cleanup, seconds, host }) => {
      const service = await openSide(await startService(cleanup, { host }), load, cleanup);
      const floor = await openSide(await startFloor(cleanup), load, cleanup);
      const node = await openSide(await startNode(cleanup), load, cleanup);
      for (const side of [service, floor, node]) {
        await playRound(side, load, WARM_UP_SECONDS);
      }
      const rounds = new Map<Side, Round[]>([
        [service, []],
        [floor, []],
        [node, []],
      ]);
      for (let round = 0; round < ROUNDS; round++) {
        for (const [side, played] of rounds) {
          played.push(await playRound(side, load, seconds ?? ROUND_SECONDS));
        }
      }
      return outcomeOf(load, host, {
        service: rounds.get(service) ?? [],
        floor: rounds.get(floor) ?? [],
        node: rounds.get(node) ?? [],
      });
    },
  };
}

/** A host and its load. */
export interface Side {
  readonly host: Host;
  readonly generator: Generator;
  readonly publisher: Publisher;
  published: number;
}

export interface Round {
  readonly latenciesMs: Float64Array;
  /** From each publish call to its answer. */
  readonly answersMs: Float64Array;
  readonly usage: Usage;
}

export async function openSide(
  host: Host,
  { clients }: Pick<Load, "clients">,
  cleanup: Cleanup,
): Promise<Side> {
  const generator = startGenerator(cleanup);
  const publisher = openPublisher(host, host.publishPath(CHANNEL));
  cleanup.add(() => publisher.close());
  await generator.connect(host, CHANNEL, { clients, attention: "every" });
  return { host, generator, publisher, published: 0 };
}

/** Publishes at a steady pace without waiting for answers: waiting would hide slow periods (coordinated omission). */
export async function playRound(
  side: Side,
  { clients, eventsPerSecond }: Pick<Load, "clients" | "eventsPerSecond">,
  seconds: number,
): Promise<Round> {
  const events = Math.max(1, Math.round(seconds * eventsPerSecond));
  const before = await side.generator.ask({ do: "take" });
  const usage = await meterUsage(side.host.pid, side.generator);
  const answers: Promise<number>[] = [];
  const startedAt = performance.now();
  for (let event = 0; event < events; event++) {
    await sleep(Math.max(0, startedAt + (event * 1_000) / eventsPerSecond - performance.now()));
    const at = Number(process.hrtime.bigint()) / 1_000;
    const calledAt = performance.now();
    const answer = side.publisher
      .publish(JSON.stringify(eventOf({ at })))
      .then(() => performance.now() - calledAt);
    // Failures are reported after the last publish.
    answer.catch(() => {});
    answers.push(answer);
  }
  const answersMs = Float64Array.from(await Promise.all(answers));
  const used = await usage();
  side.published += events;
  await side.generator.ask({ do: "reach", id: side.published, withinMs: 10_000 });
  const after = await side.generator.ask({ do: "take" });
  const received = after.events - before.events;
  if (received !== events * clients || after.faults > 0 || after.latenciesMs.length !== received) {
    throw new Error(
      `${side.host.name}: expected ${events * clients} deliveries, got ${received}, ${after.faults} of them out of order`,
    );
  }
  return { latenciesMs: after.latenciesMs, answersMs, usage: used };
}

function outcomeOf(
  load: Load,
  host: ServiceHost,
  { service, floor, node }: Readonly<Record<"service" | "floor" | "node", readonly Round[]>>,
): Outcome {
  const over = (rounds: readonly Round[], percent: number): number =>
    median(rounds.map(({ latenciesMs }) => percentile(latenciesMs, percent)));
  const measure = (percent: 50 | 95 | 99): Measure => ({
    what: `P${percent}`,
    value: over(service, percent),
    unit: "ms",
    ...(percent === load.percentile ? { bound: load.bound } : {}),
  });
  const answerMeasure = (percent: 50 | 99): Measure => ({
    what: `publish answered, P${percent}`,
    value: median(service.map(({ answersMs }) => percentile(answersMs, percent))),
    unit: "ms",
  });
  const described = (rounds: readonly Round[]): string =>
    [50, 95, 99].map((percent) => `P${percent} ${over(rounds, percent).toFixed(1)}`).join(", ");
  const bound = load.againstNode[host];
  const each = (rounds: readonly Round[]): string =>
    rounds.map(({ latenciesMs }) => percentile(latenciesMs, load.percentile).toFixed(1)).join(" ");
  const deliveries = service.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0);
  return {
    measures: [
      measure(50),
      measure(95),
      measure(99),
      {
        what: `P${load.percentile} against raw Node`,
        value: over(service, load.percentile) / over(node, load.percentile),
        unit: "x",
        ...(bound === undefined ? {} : { bound }),
      },
      answerMeasure(50),
      answerMeasure(99),
    ],
    usage: {
      "edge-sse": meanUsage(service.map(({ usage }) => usage)),
      floor: meanUsage(floor.map(({ usage }) => usage)),
      "raw Node": meanUsage(node.map(({ usage }) => usage)),
    },
    notes: [
      `the bare floor in the same run: ${described(floor)} ms`,
      `a raw Node server, which stores nothing, in the same run: ${described(node)} ms`,
      `P${load.percentile} of each round: edge-sse ${each(service)}, floor ${each(floor)} ms`,
      `medians of ${service.length} rounds; ${deliveries} deliveries, each complete and in order`,
    ],
  };
}
