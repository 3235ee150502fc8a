import type { EventLog } from "./event-log.ts";
import type { Retention } from "./retention.ts";
import type { Gap } from "./service-frames.ts";

/** Where a client wants its stream to begin. */
export interface StartRequest {
  /** The id it got last; null: it brings none. Any text: what is not an id of this log is answered with a gap. */
  readonly lastEventId: string | null;
  /** The log that the id belongs to; null: unknown to the client. */
  readonly logName: string | null;
  /** Where it starts without an id: a time in ms since the epoch, or the oldest event; null: live only. */
  readonly since: number | "earliest" | null;
}

/** Where its stream begins. */
export interface StartingPoint {
  readonly cursor: number;
  readonly gap: Gap | null;
}

/** A decimal number of our own making: no sign, no exponent, no leading zero, below 10^16. */
const EVENT_ID = /^(?:0|[1-9][0-9]{0,15})$/;

/** Turns what a client asks for into a cursor, and a gap if it was owed what is not there. A bad id never fails. */
export function startingPoint(
  request: StartRequest,
  log: EventLog,
  retention: Retention,
  head: number,
  now: number,
): StartingPoint {
  const oldest = Math.min(retention.oldest(now), head + 1);
  const { lastEventId, since } = request;
  if (lastEventId !== null) {
    const known = EVENT_ID.test(lastEventId) && Number(lastEventId) <= head;
    const sameLog = request.logName === null || request.logName === log.name;
    if (!known || !sameLog) {
      return fromOldest("unknown", lastEventId);
    }
    const cursor = Number(lastEventId);
    return cursor < oldest - 1 ? fromOldest("expired", lastEventId) : { cursor, gap: null };
  }
  if (since === null) {
    return { cursor: head, gap: null };
  }
  const first = since === "earliest" ? oldest : Math.max(oldest, retention.firstSince(since));
  return { cursor: Math.min(first - 1, head), gap: null };

  function fromOldest(reason: Gap["reason"], requestedId: string): StartingPoint {
    return { cursor: oldest - 1, gap: { reason, requestedId, oldest, latest: head } };
  }
}
