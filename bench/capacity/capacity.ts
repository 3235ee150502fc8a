import { BASE, type Load } from "./assumptions.ts";
import { MEASURED, SMALLER_WRITE_MS } from "./costs.ts";
import { limitsOf, type Limit } from "./limits.ts";
import { BENCHMARK, latencyOf, ONE_MACHINE, WORLD, type Latency } from "./latency.ts";
import { billOf, chargesFor, type Charge } from "./prices.ts";
import { topologyOf, type Topology } from "./topology.ts";
import { ratesOf, usageOf, type Rates } from "./usage.ts";

/** Sizes of a channel that the document compares. */
const SIZES = [100, 1_000, 10_000, 100_000, 1_000_000];

/** Sizes whose bills are compared for each change. */
const PRICED_SIZES = [10_000, 100_000, 1_000_000];

/** The rates of events at which the largest channel is simulated. */
const EVENT_RATES = [1, 10, 20, 50, 100, 200, 300, 400, 500];

/** What a channel needs, and what it costs. */
export interface Priced {
  readonly load: Load;
  readonly topology: Topology;
  readonly rates: Rates;
  readonly charges: readonly Charge[];
  readonly dollars: number;
}

/** A channel and its latency. */
export interface Channel extends Priced {
  /** From the publish to the client, with the network. */
  readonly latency: Latency;
  /** The same on one machine: the part of the service itself. */
  readonly ownLatency: Latency;
}

export function priced(load: Load): Priced {
  return {
    load,
    topology: topologyOf(load),
    rates: ratesOf(load),
    charges: chargesFor(usageOf(load)),
    dollars: billOf(usageOf(load)),
  };
}

function channelOf(load: Load): Channel {
  return {
    ...priced(load),
    latency: latencyOf(load, MEASURED, WORLD),
    ownLatency: latencyOf(load, MEASURED, ONE_MACHINE),
  };
}

/** A change of one assumption. */
interface Change {
  readonly name: string;
  readonly parts: Partial<Load>;
}

const CHANGES: readonly Change[] = [
  { name: "as above", parts: {} },
  { name: "1 event a second", parts: { eventsPerSecond: 1 } },
  { name: "20 events a second", parts: { eventsPerSecond: 20 } },
  { name: "20 events a second, 20 in each publish", parts: { eventsPerSecond: 20, eventsPerPublish: 20 } },
  { name: "500 clients per object", parts: { clientsPerObject: 500 } },
  { name: "250 clients per object", parts: { clientsPerObject: 250 } },
  { name: "relays are served before clients (not built)", parts: { feedsFirst: true } },
  { name: "8 quiet hours a day", parts: { quietHours: 8 } },
  { name: "16 quiet hours a day", parts: { quietHours: 16 } },
  { name: "streams live for 4 hours", parts: { streamAgeSeconds: 14_400 } },
  { name: "streams live for a day", parts: { streamAgeSeconds: 86_400 } },
  { name: "metrics are read every 10 s", parts: { scrapeSeconds: 10 } },
  { name: "somebody asks for the health every second", parts: { scrapeSeconds: 1 } },
];

/** The lowest and the highest value of several runs, in ms. */
export type Range = readonly [low: number, high: number];

/** A load of the benchmark, its results, and what the model says. */
export interface Validation {
  readonly clients: number;
  readonly eventsPerSecond: number;
  readonly measured: Readonly<Partial<Record<"p50" | "p95" | "p99", Range>>>;
  readonly model: Latency;
  /** The model with the smaller measurement of a write. */
  readonly smaller: Latency;
}

/** Results of the benchmark's rows `latency-100` and `latency-1000`, on a quiet machine. */
const BENCHMARKS: readonly Omit<Validation, "model" | "smaller">[] = [
  { clients: 100, eventsPerSecond: 50, measured: { p50: [5.7, 8.4], p95: [9, 11] } },
  { clients: 1_000, eventsPerSecond: 10, measured: { p50: [37, 48], p99: [79, 109] } },
];

/** What a change does. */
interface Changed {
  readonly change: Change;
  /** Of the channel of the base load. */
  readonly latency: Latency;
  /** Channels of several sizes. */
  readonly channels: readonly Priced[];
}

/** The result of the whole simulation. */
export interface Capacity {
  readonly sizes: readonly Channel[];
  readonly changes: readonly Changed[];
  readonly rates: readonly Channel[];
  readonly limits: readonly Limit[];
  readonly validations: readonly Validation[];
}

export function capacity(): Capacity {
  const largest = { ...BASE, clients: 1_000_000 };
  const rates = EVENT_RATES.map((eventsPerSecond) => channelOf({ ...largest, eventsPerSecond }));
  return {
    sizes: SIZES.map((clients) => channelOf({ ...BASE, clients })),
    changes: CHANGES.map((change) => ({
      change,
      latency: latencyOf({ ...BASE, ...change.parts }, MEASURED, WORLD),
      channels: PRICED_SIZES.map((clients) => priced({ ...BASE, clients, ...change.parts })),
    })),
    rates,
    limits: limitsOf(largest, rates),
    validations: validations(),
  };
}

export function validations(): Validation[] {
  return BENCHMARKS.map((benchmark) => ({
    ...benchmark,
    model: latencyOf({ ...BASE, ...benchmark }, MEASURED, BENCHMARK),
    smaller: latencyOf({ ...BASE, ...benchmark }, { ...MEASURED, writeMs: SMALLER_WRITE_MS }, BENCHMARK),
  }));
}
