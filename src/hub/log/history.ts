import type { EventLog, StoredEvent } from "./event-log.ts";
import type { Filter } from "../filter.ts";
import type { Gap, Start } from "./log-view.ts";

/** Pieces of the log that one answer looks at, so that a filter that matches nothing cannot hold the hub. */
const READS = 8;

/** Bytes of one answer, and of the names and brackets around the texts of an event. */
const ANSWER_BYTES = 1024 * 1024 - 1024;
const EVENT_BYTES = 160;

/** What one of them brings into memory. */
const READ_BYTES = 128 * 1024;

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

/** Reads events after a starting point, up to the durable head. */
export function readHistory(
  log: EventLog,
  start: Start,
  horizon: { readonly head: number; readonly oldest: number },
  filter: Filter,
  limit: number,
): HistoryPage {
  const { head, oldest } = horizon;
  const events: StoredEvent[] = [];
  let next = start.cursor;
  let bytes = 0;
  let isFull = false;
  for (let reads = 0; reads < READS && !isFull && next < head; reads++) {
    for (const event of log.read(next, READ_BYTES, "all")) {
      const isWanted = filter.matches(event);
      bytes += isWanted ? bytesOf(event) : 0;
      isFull = event.seq > head || events.length === limit || bytes > ANSWER_BYTES;
      if (isFull) {
        break;
      }
      if (isWanted) {
        events.push(event);
      }
      next = event.seq;
    }
  }
  return {
    events,
    next,
    more: next < head,
    oldest: oldest > head ? null : oldest,
    latest: head,
    gap: start.gap,
  };
}

function bytesOf({ type, data, projectId, agentId }: StoredEvent): number {
  return EVENT_BYTES + encoder.encode(data + JSON.stringify([type, projectId, agentId])).byteLength;
}
