import type { Load } from "./assumptions.ts";
import type { Channel } from "./capacity.ts";
import { CONNECTS_PER_SECOND, MEASURED, RELAYS_MAX, STREAM_KILOBYTES } from "./costs.ts";
import { count } from "./table.ts";
import { branchesOf, topologyOf } from "./topology.ts";
import { ratesOf } from "./usage.ts";

/** The bound of the benchmark's row `latency-1000`. */
const LATE_MS = 250;

/** The platform's soft limit on the requests to one object, in a second. */
const OBJECT_REQUESTS_PER_SECOND = 1_000;

/** The memory of one isolate on the platform. */
const ISOLATE_MEGABYTES = 128;

/** At most this many seats are in one lease beyond those that are in use. */
const LEASE_BLOCK = 64;

/** A resource that is used up at some point. */
export interface Limit {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

/** What is used up, in the order in which more events or more clients use it up. */
export function limitsOf(load: Load, rates: readonly Channel[]): Limit[] {
  const { clientsPerObject } = load;
  const topology = topologyOf(load);
  const { hubRequests, publishes } = ratesOf(load);
  const children = Math.ceil((topology.relays - branchesOf(topology)) / branchesOf(topology));
  const late = rates.find(({ ownLatency }) => ownLatency.p99 > LATE_MS);
  const relayMs = (clientsPerObject + children) * MEASURED.pageEventMs + MEASURED.decodeMs;
  const hubMs = MEASURED.publishMs + branchesOf(topology) * MEASURED.pageEventMs;
  return [
    {
      what: `the part of the service alone takes more than ${LATE_MS} ms at P99`,
      value: late?.load.eventsPerSecond ?? Number.NaN,
      unit: "events/s",
    },
    { what: "the thread of a relay with children is full", value: 1_000 / relayMs, unit: "events/s" },
    {
      what: `the hub gets ${count(OBJECT_REQUESTS_PER_SECOND)} requests a second, if each event is a publish`,
      value: OBJECT_REQUESTS_PER_SECOND - (hubRequests - publishes),
      unit: "events/s",
    },
    {
      what: "the thread of the hub is full, if each event is a publish",
      value: 1_000 / hubMs,
      unit: "events/s",
    },
    {
      what: `all ${count(RELAYS_MAX)} relays that the configuration allows are full`,
      value: RELAYS_MAX * clientsPerObject,
      unit: "clients",
    },
    {
      what: `the streams of a full object need this much memory; the platform gives ${ISOLATE_MEGABYTES} MB`,
      value: (clientsPerObject * STREAM_KILOBYTES) / 1_000,
      unit: "MB",
    },
    {
      what: "the hub calls the relays for seats this often while the channel is full and clients are refused",
      value: topology.relays,
      unit: "calls/s",
    },
    {
      what: "a relay has taken in all of its clients after a deploy",
      value: clientsPerObject / CONNECTS_PER_SECOND,
      unit: "s",
    },
    {
      what: "the hub has leased seats for all clients after a deploy, if each lease brings one block",
      value: load.clients / LEASE_BLOCK / OBJECT_REQUESTS_PER_SECOND,
      unit: "s",
    },
  ];
}
