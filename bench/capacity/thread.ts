import { SLICE_WRITES, type Costs } from "./costs.ts";

/** Something that reaches an object: one or more events together. */
export interface Arrival {
  /** When it is there, in ms. */
  readonly at: number;
  readonly events: number;
  /** The work of the thread before its events can be delivered. */
  readonly workMs: number;
  /** The time after this work until the events are durable. */
  readonly waitMs: number;
}

/** One sweep of an object. */
export interface Sweep {
  /** The numbers of the first event of the sweep and of the first event after it. From 0. */
  readonly from: number;
  readonly to: number;
  /** When the writes of each slice begin and end. */
  readonly slices: readonly { readonly begin: number; readonly end: number }[];
}

/** What an object did. */
export interface Worked {
  readonly sweeps: readonly Sweep[];
  /** For how many ms the thread was busy. */
  readonly busyMs: number;
  /** When the thread had done everything. */
  readonly endedAt: number;
}

/**
 * The one thread of an object that serves `readers` readers, as the broadcaster uses it: a sweep gives every reader all
 * events that were there when the sweep began, as one write for each reader. Arrivals wait for the end of a slice of
 * writes, and their events for the next sweep.
 *
 * @param arrivals in the order of their times
 */
export function runThread(arrivals: readonly Arrival[], readers: number, costs: Costs): Worked {
  const sweeps: Sweep[] = [];
  let now = 0;
  let busyMs = 0;
  let taken = 0;
  let head = 0;
  let delivered = 0;
  const durable: { readonly at: number; readonly events: number }[] = [];

  const work = (ms: number): void => {
    now += ms;
    busyMs += ms;
  };
  const takeArrivals = (): void => {
    for (let next = arrivals[taken]; next !== undefined && next.at <= now; next = arrivals[taken]) {
      taken++;
      work(next.workMs);
      durable.push({ at: now + next.waitMs, events: next.events });
    }
  };
  const moveHead = (): void => {
    for (let next = durable[0]; next !== undefined && next.at <= now; next = durable[0]) {
      durable.shift();
      head += next.events;
    }
  };

  for (;;) {
    takeArrivals();
    moveHead();
    if (head > delivered) {
      const slices: { begin: number; end: number }[] = [];
      const from = delivered;
      const to = head;
      for (let done = 0; done < readers; done += SLICE_WRITES) {
        const begin = now;
        const writes = Math.min(SLICE_WRITES, readers - done);
        work(writes * (costs.writeMs + (to - from) * costs.pageEventMs));
        slices.push({ begin, end: now });
        takeArrivals();
      }
      delivered = to;
      sweeps.push({ from, to, slices });
      continue;
    }
    const next = Math.min(arrivals[taken]?.at ?? Infinity, durable[0]?.at ?? Infinity);
    if (next === Infinity) {
      return { sweeps, busyMs, endedAt: now };
    }
    now = Math.max(now, next);
  }
}

/** When a sweep writes to a reader. @param position the place of the reader among the others, from 0 to 1 */
export function writtenAt({ slices }: Sweep, position: number, readers: number): number {
  const writes = Math.min(readers - 1, Math.floor(position * readers)) + 1;
  const index = Math.floor((writes - 1) / SLICE_WRITES);
  const slice = slices[index];
  if (slice === undefined) {
    throw new RangeError(`the sweep has no slice ${index}`);
  }
  const inSlice = Math.min(SLICE_WRITES, readers - index * SLICE_WRITES);
  return slice.begin + ((slice.end - slice.begin) * (writes - index * SLICE_WRITES)) / inSlice;
}
