import type { EventLog, StoredEvent } from "./event-log.ts";
import type { Filter } from "../filter.ts";
import type { Gap, LogView, Start } from "./log-view.ts";

/** Where the log starts and ends. */
type Horizon = Pick<LogView, "head" | "oldest">;

/**
 * The most ids that one answer scans, so that a filter that matches nothing cannot block the hub. The bound counts ids
 * and not bytes, because the end of an answer must not reveal the sizes of the events that the filter hides.
 */
const ANSWER_IDS = 10_000;

/** The most that one step scans and reads into memory. Publishing and delivery wait for a step. */
const STEP_IDS = 500;
const STEP_BYTES = 128 * 1024;

/** The most bytes of one answer, and the bytes of the JSON around the texts of one event. */
const ANSWER_BYTES = 1024 * 1024 - 1024;
const EVENT_BYTES = 160;

const encoder = new TextEncoder();

/** A part of the history. */
export interface HistoryPage {
  readonly events: readonly StoredEvent[];
  /** The last seq that was scanned. The next page starts after it. */
  readonly next: number;
  /** Whether the next page has something to scan now. */
  readonly more: boolean;
  /** The oldest kept seq; null if no event is kept. */
  readonly oldest: number | null;
  readonly latest: number;
  readonly gap: Gap | null;
}

/** The result of one step. */
interface Found {
  /** The events that the filter lets through. */
  readonly events: readonly StoredEvent[];
  /** The last seq that was scanned. */
  readonly through: number;
}

/** Reads the events between a starting point and the durable head, in steps. The head is fixed at the start. */
export class HistoryReading {
  readonly #log: EventLog;
  readonly #horizon: Horizon;
  readonly #gap: Gap | null;
  readonly #filter: Filter;
  readonly #limit: number;
  readonly #head: number;
  /** The last id that this answer scans. */
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

  /** Scans the next part of the log. Returns whether there is another step. */
  step(): boolean {
    // The next events may have been trimmed between two steps. The answer ends here then, and the next one has a gap.
    if (this.#next < this.#end && this.#next >= this.#horizon.oldest() - 1) {
      this.#take(this.#filter.isOpen ? this.#readAll() : this.#readMatching());
      return !this.#isFull && this.#next < this.#end;
    }
    return false;
  }

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

  /** Finds the matching events by their outlines and reads only these, so that hidden events are not read. */
  #readMatching(): Found {
    const count = Math.min(STEP_IDS, this.#end - this.#next);
    const outlines = this.#log.outline(this.#next, count, this.#filter.needsFields);
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

  /** Adds the events that fit. If not all of them fit, the answer ends after the last event that it shows. */
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

function bytesOf({ type, data, isText, fields }: StoredEvent): number {
  const content = isText ? JSON.stringify(data) : data;
  return EVENT_BYTES + encoder.encode(content + JSON.stringify([type, fields])).byteLength;
}
