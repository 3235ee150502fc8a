import type { LeaveReason } from "./audience/client.ts";
import type { RefusalCode } from "./errors.ts";

/** Upper bounds of the delivery latency histogram, in seconds. */
export const LATENCY_BOUNDS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;

/** Counts since the hub woke. Plain data, because it crosses from the hub to the Worker. */
export interface Counters {
  connects: number;
  reconnects: number;
  published: number;
  duplicates: number;
  deliveries: number;
  pages: number;
  sweeps: number;
  heartbeats: number;
  gaps: number;
  trimmed: number;
  readFailures: number;
  /** Connects that were refused. */
  rejections: Partial<Record<RefusalCode, number>>;
  /** Publishes that were refused. */
  publishRejections: Partial<Record<RefusalCode, number>>;
  /** Requests for history that were refused. */
  historyRejections: Partial<Record<RefusalCode, number>>;
  disconnects: Partial<Record<LeaveReason, number>>;
  latency: { buckets: number[]; sumSeconds: number; count: number };
}

export function createCounters(): Counters {
  return {
    connects: 0,
    reconnects: 0,
    published: 0,
    duplicates: 0,
    deliveries: 0,
    pages: 0,
    sweeps: 0,
    heartbeats: 0,
    gaps: 0,
    trimmed: 0,
    readFailures: 0,
    rejections: {},
    publishRejections: {},
    historyRejections: {},
    disconnects: {},
    latency: { buckets: LATENCY_BOUNDS_SECONDS.map(() => 0), sumSeconds: 0, count: 0 },
  };
}

/** Adds 1 to the count of a name. */
export function count<Name extends string>(counts: Partial<Record<Name, number>>, name: Name): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Adds one delivery: the time from storing an event until a client accepted it. */
export function observeLatency(latency: Counters["latency"], seconds: number): void {
  latency.count++;
  latency.sumSeconds += seconds;
  const bucket = LATENCY_BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
  if (bucket !== -1) {
    latency.buckets[bucket] = (latency.buckets[bucket] ?? 0) + 1;
  }
}
