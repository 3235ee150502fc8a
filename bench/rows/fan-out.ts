import { setTimeout as sleep } from "node:timers/promises";

import type { Cleanup } from "../cleanup.ts";
import { batchBody } from "../event.ts";
import { startFloor } from "../floor/floor.ts";
import { startGenerator, type Generator } from "../generator.ts";
import type { Host } from "../host.ts";
import { startNode } from "../node/node.ts";
import { openPublisher, type Publisher } from "../publisher.ts";
import type { Bound, Outcome, Row } from "../row.ts";
import { startService, type ServiceHost } from "../service.ts";
import { median } from "../statistics.ts";
import { meanUsage, meterUsage, type Usage } from "../usage.ts";

/** A host that the service is compared with, and the ratio that the service must reach on each of its own hosts. */
export interface Peer {
  readonly start: (cleanup: Cleanup, host: ServiceHost) => Promise<Host>;
  readonly bounds: Partial<Record<ServiceHost, Bound>>;
}

const AGAINST_FLOOR: Bound = { is: "at least", must: 0.8, aim: 0.95 };

const PEERS: readonly Peer[] = [
  { start: startFloor, bounds: { workerd: AGAINST_FLOOR, deno: AGAINST_FLOOR } },
  {
    start: startNode,
    bounds: { deno: { is: "at least", must: 5, aim: 8 } },
  },
];

export const CLIENTS = 1_000;
/** The channel of the clients. */
export const CHANNEL = "fan-out";
/** One client in this many decodes each frame and checks that none is missing. */
const SAMPLE = 50;
const BATCH_EVENTS = 20;
/**
 * How many events the slowest client may be behind: one batch on its way to the clients, two on their way to the hub.
 */
const WINDOW_EVENTS = 3 * BATCH_EVENTS;
/** A window so large that bytes count and not writes. It shows how much the load generator can accept. */
const CEILING_WINDOW_EVENTS = 50 * BATCH_EVENTS;

const PAIRS = 8;
const WINDOW_SECONDS = 1.25;
const WARM_UP_MS = 400;

/**
 * Deliveries a second while there is always more to deliver. The same closed loop drives each host: it publishes
 * batches while the slowest client is at most a window behind. So neither publisher nor log overflows, and a faster
 * host gets more events.
 */
export function fanOutRow(
  { name, title, hosts }: Pick<Row, "name" | "title" | "hosts">,
  start: (cleanup: Cleanup, host: ServiceHost) => Promise<Host>,
  against: readonly Peer[],
  check: (host: Host) => Promise<void> = () => Promise.resolve(),
): Row {
  return {
    name,
    title,
    ...(hosts !== undefined && { hosts }),
    measure: async ({ cleanup, seconds, host }) => {
      const service = await openSide(await start(cleanup, host), cleanup);
      await check(service.host);
      const peers: Side[] = [];
      for (const peer of against) {
        peers.push(await openSide(await peer.start(cleanup, host), cleanup));
      }
      const sides = [service, ...peers];
      for (let pair = 0; pair < PAIRS; pair++) {
        for (const side of sides) {
          side.windows.push(await playWindow(side, seconds ?? WINDOW_SECONDS, WINDOW_EVENTS));
        }
      }
      const [floor = service] = peers;
      const ceiling = await playWindow(floor, 1, CEILING_WINDOW_EVENTS);
      const bounds = against.map((peer) => peer.bounds[host]);
      return outcomeOf(service, bounds, peers, ceiling);
    },
  };
}

/** The service against the floor and raw Node. */
export const fanOut = fanOutRow(
  { name: "fan-out", title: `saturated fan-out, ${CLIENTS} clients, ~200-byte frames` },
  (cleanup, host) => startService(cleanup, { host }),
  PEERS,
);

interface Side {
  readonly host: Host;
  readonly generator: Generator;
  readonly publisher: Publisher;
  readonly windows: Window[];
  head: number;
  slowest: number;
  onSlowest: () => void;
}

interface Window {
  readonly deliveriesPerSecond: number;
  readonly usage: Usage;
}

async function openSide(host: Host, cleanup: Cleanup): Promise<Side> {
  const generator = startGenerator(cleanup);
  const publisher = openPublisher(host, host.publishPath(CHANNEL));
  cleanup.add(() => publisher.close());
  const side: Side = {
    host,
    generator,
    publisher,
    windows: [],
    head: 0,
    slowest: 0,
    onSlowest: () => {},
  };
  await generator.connect(host, CHANNEL, { clients: CLIENTS, attention: "newest", sample: SAMPLE });
  await generator.watch((id) => {
    side.slowest = id;
    side.onSlowest();
  });
  return side;
}

async function playWindow(side: Side, seconds: number, windowEvents: number): Promise<Window> {
  const { generator, host } = side;
  const stopped = new AbortController();
  const loop = publishUntil(stopped.signal, side, windowEvents);
  try {
    await Promise.race([sleep(WARM_UP_MS), loop]);
    const usage = await meterUsage(host.pid, generator);
    const before = await generator.ask({ do: "look" });
    await Promise.race([sleep(seconds * 1_000), loop]);
    const after = await generator.ask({ do: "look" });
    const used = await usage();
    stopped.abort();
    await loop;
    const end = await generator.ask({ do: "reach", id: side.head, withinMs: 10_000 });
    if (end.faults > 0 || end.ends.length > 0 || end.events !== (side.head * CLIENTS) / SAMPLE) {
      throw new Error(
        `${host.name}: ${end.faults} faults, ${end.ends.length} clients lost, ${end.events} events in the sample`,
      );
    }
    return {
      deliveriesPerSecond: ((after.delivered - before.delivered) / (after.atMs - before.atMs)) * 1_000,
      usage: used,
    };
  } finally {
    stopped.abort();
  }
}

async function publishUntil(stopped: AbortSignal, side: Side, windowEvents: number): Promise<void> {
  const body = batchBody(BATCH_EVENTS);
  const answers = new Set<Promise<void>>();
  const failures: Error[] = [];
  while (!stopped.aborted && failures.length === 0) {
    if (side.head + BATCH_EVENTS - side.slowest > windowEvents) {
      await new Promise<void>((resolve) => {
        side.onSlowest = resolve;
      });
      continue;
    }
    side.head += BATCH_EVENTS;
    const answer = side.publisher
      .publish(body)
      .catch((error: Error) => {
        failures.push(error);
        side.onSlowest();
      })
      .finally(() => answers.delete(answer));
    answers.add(answer);
  }
  await Promise.all(answers);
  for (const failure of failures) {
    throw failure;
  }
}

function outcomeOf(
  service: Side,
  bounds: readonly (Bound | undefined)[],
  peers: readonly Side[],
  ceiling: Window,
): Outcome {
  const rates = (side: Side): number[] => side.windows.map(({ deliveriesPerSecond }) => deliveriesPerSecond);
  const cpu = (side: Side): number =>
    median(side.windows.map(({ usage, deliveriesPerSecond }) => (usage.runtime * 1e6) / deliveriesPerSecond));
  const own = rates(service);
  const ratios = peers.map((peer, index) => ({
    what: `against ${peer.host.name}`,
    value: median(own) / median(rates(peer)),
    unit: "x",
    ...(bounds[index] === undefined ? {} : { bound: bounds[index] }),
  }));
  const notes = [service, ...peers].map(
    (side) =>
      `${side.host.name}: ${rates(side).map(thousands).join(" ")} thousand deliveries/s, ` +
      `${cpu(side).toFixed(2)} us of CPU each`,
  );
  for (const peer of peers) {
    const theirs = rates(peer);
    const pairs = own.map((rate, pair) => (rate / (theirs[pair] ?? Number.NaN)).toFixed(2));
    notes.push(`pair by pair against ${peer.host.name}: ${pairs.join(" ")}`);
  }
  notes.push(
    `ceiling of the load generator: it accepted ${thousands(ceiling.deliveriesPerSecond)} thousand/s from the floor ` +
      `in larger pages, with ${Math.round(ceiling.usage.generator * 100)} % of a core`,
  );
  return {
    measures: [
      { what: "deliveries/s", value: median(own), unit: "/s" },
      ...peers.map((peer) => ({
        what: `deliveries/s, ${peer.host.name}`,
        value: median(rates(peer)),
        unit: "/s",
      })),
      ...ratios,
    ],
    usage: Object.fromEntries(
      [service, ...peers].map((side) => [side.host.name, meanUsage(side.windows.map(({ usage }) => usage))]),
    ),
    notes,
  };
}

function thousands(value: number): string {
  return String(Math.round(value / 1_000));
}
