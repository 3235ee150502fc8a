import { encodeEvent, encodeText } from "../../sse/encode.ts";
import { eventJson } from "./event-json.ts";
import type { AppendedEvent, Detail, EventLog, StoredEvent } from "./event-log.ts";
import type { Filter } from "../filter.ts";
import type { Page } from "./log-view.ts";

/** An envelope makes the smallest events up to this many times larger, so the pages of envelopes hold fewer events. */
const ENVELOPE_FACTOR = 4;

/** The bounds of the newest events that stay in memory, for all clients together. */
const RECENT_BYTES = 8 * 1024 * 1024;
const RECENT_EVENTS = 16_384;

/** Reads the log as pages of encoded frames. The newest events stay in memory; older events are read from the log. */
export class PageReader {
  readonly #log: EventLog;
  readonly #encoder = new TextEncoder();
  /** Events with consecutive seqs. The places before `#start` are empty, and are cut off from time to time. */
  #recent: (AppendedEvent | null)[] = [];
  #start = 0;
  #firstSeq = 1;
  #bytes = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Whether the page after a cursor needs no read of the log. */
  isInMemory(cursor: number): boolean {
    return cursor + 1 >= this.#firstSeq;
  }

  /** Keeps an event that was just appended. Seqs have no holes. */
  push(event: AppendedEvent): void {
    if (event.seq !== this.#firstSeq + this.#recent.length - this.#start) {
      this.forget(event.seq);
    }
    this.#recent.push(event);
    this.#bytes += event.size;
    while (this.#bytes > RECENT_BYTES || this.#recent.length - this.#start > RECENT_EVENTS) {
      this.#bytes -= this.#recent[this.#start]?.size ?? 0;
      this.#recent[this.#start] = null;
      this.#start++;
      this.#firstSeq++;
    }
    if (this.#start > RECENT_EVENTS) {
      this.#recent = this.#recent.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Drops the events in memory. The next event will have this seq. */
  forget(nextSeq: number): void {
    this.#recent = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#firstSeq = nextSeq;
  }

  /**
   * The next page after a cursor, up to the durable head.
   *
   * @param maxBytes of the page, unless its first event is larger
   */
  page(cursor: number, head: number, filter: Filter, maxBytes: number): Page {
    const size = filter.form === "envelope" ? maxBytes / ENVELOPE_FACTOR : maxBytes;
    return this.isInMemory(cursor)
      ? this.#encode(cursor, this.#recentEvents(cursor, head, filter, size), filter, true)
      : this.#encode(cursor, this.#loggedEvents(cursor, head, filter, size), filter, false);
  }

  #recentEvents(cursor: number, head: number, filter: Filter, maxSize: number): Scanned {
    const matching: StoredEvent[] = [];
    let size = 0;
    let seq = cursor;
    for (; seq < head; seq++) {
      const event = this.#recent[seq + 1 - this.#firstSeq + this.#start];
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

  #loggedEvents(cursor: number, head: number, filter: Filter, maxSize: number): Scanned {
    const events = this.#log.read(cursor, maxSize, detailFor(filter));
    const durable = events.filter((event) => event.seq <= head);
    if (durable.length === 0) {
      throw new RangeError(`the log has nothing between ${cursor} and its head ${head}`);
    }
    return {
      matching: durable.filter((event) => filter.matches(event)),
      through: durable.at(-1)?.seq ?? head,
    };
  }

  #encode(cursor: number, { matching, through }: Scanned, { form }: Filter, isLive: boolean): Page {
    let text = "";
    for (const event of matching) {
      text += form === "envelope" ? encodeEvent(event.type, event.seq, eventJson(event)) : frameOf(event);
    }
    const bytes = matching.length === 0 ? null : this.#encoder.encode(text);
    const publishedAt = isLive ? (matching[0]?.publishedAt ?? null) : null;
    return {
      bytes,
      cursor: through,
      lastId: matching.at(-1)?.seq ?? cursor,
      events: matching.length,
      publishedAt,
    };
  }
}

interface Scanned {
  /** The events that the filter lets through. */
  readonly matching: readonly StoredEvent[];
  /** The last seq that was scanned. */
  readonly through: number;
}

function frameOf({ type, seq, data, isText }: StoredEvent): string {
  return isText ? encodeText(type, seq, data) : encodeEvent(type, seq, data);
}

/** The parts that frames of this filter need. */
function detailFor({ form, needsFields }: Filter): Detail {
  if (form === "envelope") {
    return "all";
  }
  return needsFields ? "filterable" : "frame";
}
