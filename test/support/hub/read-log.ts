import type { EventLog, StoredEvent } from "../../../src/hub/log/event-log.ts";

/** All events after a seq, with as many reads as necessary. */
export function eventsOf(log: EventLog, after = 0): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (let next = after; ;) {
    const read = log.read(next, 1024 * 1024, "all");
    const last = read.at(-1);
    if (last === undefined) {
      return events;
    }
    if (last.seq <= next) {
      throw new Error(`event ${last.seq} was read again after ${next}`);
    }
    for (const { seq, type, fields, data, isText, publishedAt } of read) {
      events.push({ seq, type, fields, data, isText, publishedAt });
    }
    next = last.seq;
  }
}
