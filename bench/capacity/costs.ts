/** What things cost on one machine. Times are in ms of one thread. */
export interface Costs {
  /** One write to one client or relay. */
  readonly writeMs: number;
  /** One event in the page of one client, besides the write. */
  readonly pageEventMs: number;
  /** One publish of one event, in the Worker and the hub together. */
  readonly publishMs: number;
  /** Until a publish is durable. The thread is free meanwhile. */
  readonly commitMs: number;
  /** One event that a relay decodes and keeps. */
  readonly decodeMs: number;
  /** One hop from the hub to a relay or from a relay to a relay, besides the network. */
  readonly hopMs: number;
}

/** How many writes a sweep makes before the object does what else is waiting. `SLICE_WRITES` of the broadcaster. */
export const SLICE_WRITES = 100;

/** The highest value of `relays.max`. */
export const RELAYS_MAX = 2_000;

/** The mean age at which a stream ends, as a part of `limits.max_stream_age_seconds`: each ends at 80 to 100 % of it. */
export const MEAN_AGE_PART = 0.9;

/** The document says how each was measured. */
export const MEASURED: Costs = {
  writeMs: 0.069,
  pageEventMs: 0.0017,
  publishMs: 0.49,
  commitMs: 0.5,
  decodeMs: 0.006,
  hopMs: 0.4,
};

/** A write, from the CPU of the benchmark's row `latency-1000`. The document says why the model does not use it. */
export const SMALLER_WRITE_MS = 0.048;

/** Rows that SQLite writes. A test counts them inside workerd. */
export const ROWS = {
  /** One event that has a key: the event and the entry of its key. */
  insert: 2,
  /** The same event when it is trimmed. */
  trim: 1,
  /** Setting an alarm is a row. A hub sets it twice each time: for its clients, and then earlier to trim. */
  hubAlarm: 2,
  relayAlarm: 1,
  /** One change of the seats of a relay. */
  seats: 1,
} as const;

/** How often the alarm of an object rings while events flow. Tests count it on a clock of their own. */
export const ALARM_SECONDS = {
  /** A hub with a full history trims it at this pace. */
  hub: 6,
  /** A relay renews its lease every 10 s. Alarms ring at even seconds. */
  relay: 12,
} as const;

/** The memory of the runtime for one idle stream. */
export const STREAM_KILOBYTES = 102;

/** How many new streams one object accepts in a second. */
export const CONNECTS_PER_SECOND = 1_900;
