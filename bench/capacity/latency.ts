import { DELAYS, type Load } from "./assumptions.ts";
import type { Costs } from "./costs.ts";
import { Histogram } from "./histogram.ts";
import { exponential, randomFrom } from "./random.ts";
import { runThread, writtenAt, type Arrival, type Sweep, type Worked } from "./thread.ts";
import { branchesOf, topologyOf, type RegionRelays } from "./topology.ts";

/** The time from a publish to its clients, and how busy the threads are. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** The part of the time for which the thread of the hub is busy. */
  readonly hubUse: number;
  /** The same for the busiest relay; 0 without relays. */
  readonly relayUse: number;
}

/** How events arrive: at random times or at a steady pace, and through which delays. */
export interface Conditions {
  readonly isSteady: boolean;
  /** False for everything on one machine. */
  readonly hasNetwork: boolean;
}

export const WORLD: Conditions = { isSteady: false, hasNetwork: true };
export const ONE_MACHINE: Conditions = { isSteady: false, hasNetwork: false };
export const BENCHMARK: Conditions = { isSteady: true, hasNetwork: false };

const SEED = 12;

/** How long one run of the model is, within bounds on its events. */
const RUN_SECONDS = 20;
const RUN_EVENTS_MIN = 400;
const RUN_EVENTS_MAX = 2_000;

/** At how many places among the clients of an object the delay is taken. */
const PLACES = 20;

/** At how many places among the clients of its parent a relay is simulated. */
const CHILD_PLACES = 4;

/** One run of the model. */
interface Run {
  readonly costs: Costs;
  readonly delays: Readonly<Record<keyof typeof DELAYS, number>>;
  readonly hasNetwork: boolean;
  readonly random: () => number;
  /** When each event was published. */
  readonly published: readonly number[];
  readonly samples: Histogram;
  relayUse: number;
}

const NO_DELAYS = { publisherToHubMs: 0, commitMs: 0, withinRegionMs: 0, lastMileMs: 0 };

/** Runs the model of a channel. */
export function latencyOf(load: Load, costs: Costs, { isSteady, hasNetwork }: Conditions): Latency {
  const random = randomFrom(SEED);
  const publishes = publishTimes(load, isSteady, random);
  const run: Run = {
    costs,
    delays: hasNetwork ? DELAYS : NO_DELAYS,
    hasNetwork,
    random,
    published: publishes.flatMap((at) => Array.from({ length: load.eventsPerPublish }, () => at)),
    samples: new Histogram(),
    relayUse: 0,
  };
  const topology = topologyOf(load);
  const readers = topology.relays === 0 ? load.clients : branchesOf(topology);
  const hub = runThread(publishArrivals(publishes, load, run), readers, costs);
  if (topology.relays === 0) {
    sample(run, hub, readers, load.clients);
  }
  for (const region of topology.regions) {
    runRegion(run, region, load, { hub, readers });
  }
  const [p50, p95, p99] = [50, 95, 99].map((percent) => run.samples.percentile(percent)) as [
    number,
    number,
    number,
  ];
  return { p50, p95, p99, hubUse: hub.busyMs / hub.endedAt, relayUse: run.relayUse };
}

function publishTimes(
  { eventsPerSecond, eventsPerPublish }: Load,
  isSteady: boolean,
  random: () => number,
): number[] {
  const perSecond = eventsPerSecond / eventsPerPublish;
  const events = Math.min(RUN_EVENTS_MAX, Math.max(RUN_EVENTS_MIN, eventsPerSecond * RUN_SECONDS));
  const count = Math.ceil(events / eventsPerPublish);
  const times: number[] = [];
  let at = 0;
  for (let publish = 0; publish < count; publish++) {
    at += isSteady ? 1_000 / perSecond : exponential(1_000 / perSecond, random);
    times.push(at);
  }
  return times;
}

function publishArrivals(publishes: readonly number[], load: Load, { costs, delays }: Run): Arrival[] {
  return publishes.map((at) => ({
    at: at + delays.publisherToHubMs,
    events: load.eventsPerPublish,
    workMs: costs.publishMs,
    waitMs: Math.max(costs.commitMs, delays.commitMs),
  }));
}

/** Simulates one relay that the hub feeds, and some that this relay feeds. Each stands for the others of its kind. */
function runRegion(
  run: Run,
  { region, clients, relays, branches }: RegionRelays,
  { clientsPerObject, feedsFirst }: Load,
  { hub, readers }: { readonly hub: Worked; readonly readers: number },
): void {
  const own = Math.min(clientsPerObject, clients);
  const children = Math.ceil((relays - branches) / branches);
  const branchReaders = own + children;
  const hopMs = run.costs.hopMs + (run.hasNetwork ? region.fromHubMs : 0);
  const branch = runThread(feedArrivals(hub, 0.5, readers, hopMs, run.costs), branchReaders, run.costs);
  run.relayUse = Math.max(run.relayUse, branch.busyMs / branch.endedAt);
  sample(run, branch, branchReaders, (clients * branches) / relays);
  if (children === 0) {
    return;
  }
  // All of the order, or its beginning.
  const partOfOrder = feedsFirst ? children / branchReaders : 1;
  const childHopMs = run.costs.hopMs + run.delays.withinRegionMs;
  for (let place = 0; place < CHILD_PLACES; place++) {
    const position = ((place + 0.5) / CHILD_PLACES) * partOfOrder;
    const leaf = runThread(
      feedArrivals(branch, position, branchReaders, childHopMs, run.costs),
      own,
      run.costs,
    );
    sample(run, leaf, own, (clients * (relays - branches)) / relays / CHILD_PLACES);
  }
}

/** What a relay gets from its parent: the events of each sweep together. */
function feedArrivals(
  { sweeps }: Worked,
  position: number,
  readers: number,
  hopMs: number,
  { decodeMs }: Costs,
): Arrival[] {
  return sweeps.map((sweep) => {
    const events = sweep.to - sweep.from;
    return {
      at: writtenAt(sweep, position, readers) + hopMs,
      events,
      workMs: events * decodeMs,
      waitMs: 0,
    };
  });
}

/** Takes the delay of each event at some of the clients of an object. */
function sample(run: Run, { sweeps }: Worked, readers: number, clients: number): void {
  for (const sweep of sweeps) {
    for (let place = 0; place < PLACES; place++) {
      const at = writtenAt(sweep, (place + 0.5) / PLACES, readers);
      sampleSweep(run, sweep, at, clients / PLACES);
    }
  }
}

function sampleSweep(
  { published, samples, delays, random }: Run,
  sweep: Sweep,
  at: number,
  weight: number,
): void {
  for (let event = sweep.from; event < sweep.to; event++) {
    const lastMile = delays.lastMileMs === 0 ? 0 : delays.lastMileMs + exponential(delays.lastMileMs, random);
    samples.add(at + lastMile - (published[event] ?? Number.NaN), weight);
  }
}
