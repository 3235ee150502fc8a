import type { AppendedEvent, Detail, EventLog } from "./event-log.ts";
import type { Filter } from "../filter.ts";
import { encodePage, sizeWithin, type Scanned } from "./encode-page.ts";
import type { Page } from "./log-view.ts";
import { RecentEvents } from "./recent-events.ts";

/** The bounds of the newest events that stay in memory, for all clients together. */
const RECENT_BOUNDS = { bytes: 8 * 1024 * 1024, events: 16_384 } as const;

/** Reads the log as pages of encoded frames. The newest events stay in memory; older events are read from the log. */
export class PageReader {
  readonly #log: EventLog;
  readonly #recent = new RecentEvents(RECENT_BOUNDS);

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Whether the page after a cursor needs no read of the log. */
  isInMemory(cursor: number): boolean {
    return this.#recent.covers(cursor);
  }

  /** Keeps an event that was just appended. Seqs have no holes. */
  push(event: AppendedEvent): void {
    this.#recent.push(event);
  }

  /** Drops the events in memory. The next event will have this seq. */
  forget(nextSeq: number): void {
    this.#recent.forget(nextSeq);
  }

  /**
   * The next page after a cursor, up to the durable head.
   *
   * @param maxBytes of the page, unless its first event is larger
   */
  page(cursor: number, head: number, filter: Filter, maxBytes: number): Page {
    const size = sizeWithin(maxBytes, filter);
    return this.isInMemory(cursor)
      ? encodePage(cursor, this.#recent.scan(cursor, head, filter, size), filter.form, true)
      : encodePage(cursor, this.#loggedEvents(cursor, head, filter, size), filter.form, false);
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
}

/** The parts that frames of this filter need. */
function detailFor({ form, needsFields }: Filter): Detail {
  if (form === "envelope") {
    return "all";
  }
  return needsFields ? "filterable" : "frame";
}
