import { seqOf } from "./event-id.ts";
import type { EventLog } from "./event-log.ts";
import type { Gap, Start, StartRequest } from "./log-view.ts";
import type { Retention } from "./retention.ts";

/** Finds the cursor for a request, and a gap if events that the client asked for are missing. */
export function startingPoint(
  request: StartRequest,
  log: EventLog,
  retention: Retention,
  head: number,
  now: number,
): Start {
  const oldest = Math.min(retention.oldest(now), head + 1);
  const { lastEventId, since } = request;
  if (lastEventId !== null) {
    const cursor = seqOf(lastEventId);
    const isSameLog = request.logName === null || request.logName === log.name;
    if (cursor === null || cursor > head || !isSameLog) {
      return fromOldest("unknown", lastEventId);
    }
    return cursor < oldest - 1 ? fromOldest("expired", lastEventId) : { cursor, gap: null };
  }
  if (since === null) {
    return { cursor: head, gap: null };
  }
  if (since !== "oldest" && oldest > 1 && (since === "earliest" || trimmedAt() >= since)) {
    return fromOldest("expired", null);
  }
  const first = typeof since === "string" ? oldest : Math.max(oldest, retention.firstSince(since));
  return { cursor: Math.min(first - 1, head), gap: null };

  /** When the newest event that is no longer kept was stored. */
  function trimmedAt(): number {
    return log.stamp(oldest - 1).publishedAt;
  }

  function fromOldest(reason: Gap["reason"], requestedId: string | null): Start {
    return { cursor: oldest - 1, gap: { reason, requestedId, oldest, latest: head } };
  }
}
