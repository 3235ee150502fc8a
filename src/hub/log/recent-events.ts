import type { Filter } from "../filter.ts";
import type { AppendedEvent, StoredEvent } from "./event-log.ts";
import type { Scanned } from "./encode-page.ts";

/** How much stays in memory. */
export interface RecentBounds {
  readonly bytes: number;
  readonly events: number;
}

/** The newest events of a log, in memory and within bounds. Their seqs have no holes. */
export class RecentEvents {
  readonly #bounds: RecentBounds;
  /** Events with consecutive seqs. The places before `#start` are empty, and are cut off from time to time. */
  #events: (AppendedEvent | null)[] = [];
  #start = 0;
  #firstSeq = 1;
  #bytes = 0;

  constructor(bounds: RecentBounds) {
    this.#bounds = bounds;
  }

  /** The oldest event; null if none is kept. */
  get first(): StoredEvent | null {
    return this.#events[this.#start] ?? null;
  }

  /** The bytes of all kept events, as `sizeOf` counts them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many events are kept. */
  get count(): number {
    return this.#events.length - this.#start;
  }

  /** Whether every event after a cursor is here. */
  covers(cursor: number): boolean {
    return cursor + 1 >= this.#firstSeq;
  }

  /** Keeps an event. If it does not follow the last one, the events before it are dropped. */
  push(event: AppendedEvent): void {
    if (event.seq !== this.#firstSeq + this.#events.length - this.#start) {
      this.forget(event.seq);
    }
    this.#events.push(event);
    this.#bytes += event.size;
    while (this.#bytes > this.#bounds.bytes || this.#events.length - this.#start > this.#bounds.events) {
      this.dropFirst();
    }
    if (this.#start > this.#bounds.events) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Drops the oldest event. */
  dropFirst(): void {
    this.#bytes -= this.#events[this.#start]?.size ?? 0;
    this.#events[this.#start] = null;
    this.#start++;
    this.#firstSeq++;
  }

  /** Drops all events. The next event will have this seq. */
  forget(nextSeq: number): void {
    this.#events = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#firstSeq = nextSeq;
  }

  /**
   * The events after a cursor, up to a head, that a filter lets through.
   *
   * @param maxSize of these events together, unless the first of them is larger
   */
  scan(cursor: number, head: number, filter: Filter, maxSize: number): Scanned {
    const matching: StoredEvent[] = [];
    let size = 0;
    let seq = cursor;
    for (; seq < head; seq++) {
      const event = this.#events[seq + 1 - this.#firstSeq + this.#start];
      if (!event) {
        throw new RangeError(`event ${seq + 1} is not in memory`);
      }
      if (filter.matches(event)) {
        size += event.size;
        if (size > maxSize && matching.length > 0) {
          break;
        }
        matching.push(event);
      }
    }
    return { matching, through: seq };
  }
}
