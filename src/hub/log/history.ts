import type { EventLog, StoredEvent } from "./event-log.ts";
import type { Filter } from "../filter.ts";
import type { Gap, LogView, Start } from "./log-view.ts";

/** Where the log begins and ends. */
type Horizon = Pick<LogView, "head" | "oldest">;

/**
 * Ids that one answer looks at, so that a filter that matches nothing cannot hold the hub. It counts ids and not bytes:
 * where an answer ends must not tell the size of the events that it hides.
 */
const ANSWER_IDS = 10_000;

/** What one step of a reading looks at, and brings into memory: everybody else waits for it. */
const STEP_IDS = 500;
const STEP_BYTES = 128 * 1024;

/** Bytes of one answer, and of the names and brackets around the texts of an event. */
const ANSWER_BYTES = 1024 * 1024 - 1024;
const EVENT_BYTES = 160;

const encoder = new TextEncoder();

/** A piece of the past. */
export interface HistoryPage {
  readonly events: readonly StoredEvent[];
  /** The seq that the reading has reached, to go on after. */
  readonly next: number;
  /** Whether there is more to read at once. */
  readonly more: boolean;
  /** The oldest seq that is kept; null: nothing is. */
  readonly oldest: number | null;
  readonly latest: number;
  readonly gap: Gap | null;
}

/** What one step has found. */
interface Found {
  /** What the filter lets through. */
  readonly events: readonly StoredEvent[];
  /** The last seq that was looked at. */
  readonly through: number;
}

/** Reads events after a starting point, up to where the durable head was, in steps that others can come between. */
export class HistoryReading {
  readonly #log: EventLog;
  readonly #horizon: Horizon;
  readonly #gap: Gap | null;
  readonly #filter: Filter;
  readonly #limit: number;
  readonly #head: number;
  /** The last id that this answer looks at. */
  readonly #end: number;
  readonly #events: StoredEvent[] = [];
  #next: number;
  #bytes = 0;
  #isFull = false;

  constructor(log: EventLog, horizon: Horizon, start: Start, filter: Filter, limit: number) {
    this.#log = log;
    this.#horizon = horizon;
    this.#gap = start.gap;
    this.#filter = filter;
    this.#limit = limit;
    this.#head = horizon.head();
    this.#end = Math.min(this.#head, start.cursor + ANSWER_IDS);
    this.#next = start.cursor;
  }

  /** Looks at the next piece of the log. Answers whether there is another one to look at. */
  step(): boolean {
    // What comes next may have been trimmed between two steps: who asks for it then is told by a gap.
    if (this.#next < this.#end && this.#next >= this.#horizon.oldest() - 1) {
      this.#take(this.#filter.isOpen ? this.#readAll() : this.#readMatching());
      return !this.#isFull && this.#next < this.#end;
    }
    return false;
  }

  /** The answer. */
  page(): HistoryPage {
    const oldest = this.#horizon.oldest();
    return {
      events: this.#events,
      next: this.#next,
      more: this.#next < this.#head,
      oldest: oldest > this.#head ? null : oldest,
      latest: this.#head,
      gap: this.#gap,
    };
  }

  #readAll(): Found {
    const events = this.#log.read(this.#next, STEP_BYTES, "all").filter(({ seq }) => seq <= this.#end);
    return { events, through: events.at(-1)?.seq ?? this.#end };
  }

  /** Finds what matches by its outline, and reads only that: hidden events cost no bytes. */
  #readMatching(): Found {
    const count = Math.min(STEP_IDS, this.#end - this.#next);
    const outlines = this.#log.outline(this.#next, count, this.#filter.needsIds);
    const seqs: number[] = [];
    let bytes = 0;
    for (const outline of outlines) {
      if (this.#filter.matches(outline)) {
        bytes += outline.size;
        if (seqs.length > 0 && bytes > STEP_BYTES) {
          return { events: this.#log.pick(seqs), through: seqs.at(-1) ?? this.#next };
        }
        seqs.push(outline.seq);
      }
    }
    const events = seqs.length === 0 ? [] : this.#log.pick(seqs);
    return { events, through: outlines.at(-1)?.seq ?? this.#end };
  }

  /** Takes what has room. When not all of it has, the answer ends with the last event that it shows. */
  #take({ events, through }: Found): void {
    for (const event of events) {
      this.#bytes += bytesOf(event);
      this.#isFull = this.#events.length === this.#limit || this.#bytes > ANSWER_BYTES;
      if (this.#isFull) {
        return;
      }
      this.#events.push(event);
      this.#next = event.seq;
    }
    this.#isFull = this.#events.length === this.#limit;
    this.#next = this.#isFull ? this.#next : through;
  }
}

function bytesOf({ type, data, projectId, agentId }: StoredEvent): number {
  return EVENT_BYTES + encoder.encode(data + JSON.stringify([type, projectId, agentId])).byteLength;
}
