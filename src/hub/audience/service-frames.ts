import { encodeFrame } from "../../sse/encode.ts";
import type { CloseNotice, Connected, ErrorNotice, GapNotice } from "../../wire/frames.ts";
import type { Gap } from "../log/log-view.ts";
import type { LeaveReason } from "./client.ts";
import type { HubError, RefusalCode } from "../errors.ts";

/** What the service itself says on a stream. These frames pass every filter. */

/** Characters of a client's own id that are repeated to it: a client may send any text. */
const REQUESTED_ID_LENGTH = 64;

/** An id that can be repeated in an `id:` line: no line break, no NUL, not longer than any id of ours. */
const REPEATABLE_ID = /^[\x21-\x7e]{1,64}$/;

/** Where the client stands when its stream opens. */
export interface Opening {
  readonly clientId: string;
  readonly channel: string;
  readonly cursor: number;
  readonly logName: string;
  readonly heartbeatIntervalSeconds: number;
  readonly retryMs: number;
  readonly gap: Gap | null;
}

/**
 * The first bytes of every stream. `connected` carries the cursor as its id, so that a browser which is cut before its
 * first matching event resumes where it was; with a gap it carries none, so that the id moves only once the gap is told.
 */
export function openingFrames(opening: Opening): string {
  const { gap, cursor } = opening;
  const connected = {
    // In the block of `connected`: some parsers make an empty event of a `retry:` that stands alone.
    retry: opening.retryMs,
    event: "connected",
    data: JSON.stringify({
      client_id: opening.clientId,
      channel: opening.channel,
      last_event_id: String(cursor),
      log: opening.logName,
      heartbeat_interval_seconds: opening.heartbeatIntervalSeconds,
    } satisfies Connected),
  };
  return gap === null ? encodeFrame({ ...connected, id: cursor }) : encodeFrame(connected) + gapFrame(gap);
}

/** Says that events are missing. Its id is the one before the oldest that is kept: what is kept follows. */
export function gapFrame(gap: Gap): string {
  return encodeFrame({
    event: "gap",
    id: gap.oldest - 1,
    data: JSON.stringify(describeGap(gap)),
  });
}

/** A gap as clients see it. */
export function describeGap(gap: Gap): GapNotice {
  return {
    requested_id: gap.requestedId?.slice(0, REQUESTED_ID_LENGTH) ?? null,
    oldest_id: gap.oldest > gap.latest ? null : String(gap.oldest),
    latest_id: String(gap.latest),
    reason: gap.reason,
  };
}

/** A comment; with an id when the filter has hidden events since, so that the browser's id keeps up. */
export function heartbeatFrame(cursor: number | null): string {
  return encodeFrame(cursor === null ? { comment: "heartbeat" } : { comment: "heartbeat", id: cursor });
}

/** Something recoverable happened to this stream. Carries no id. */
export function errorFrame(errorType: string, message: string, retryable: boolean): string {
  const notice: ErrorNotice = { error_type: errorType, message, retryable };
  return encodeFrame({ event: "error", data: JSON.stringify(notice) });
}

/** Why the service ends or refuses a stream. */
export type CloseReason = Exclude<LeaveReason, "client_left"> | "limit";

/**
 * Said before the service ends a stream. Its `retry` paces a native EventSource.
 *
 * @param id repeated for a stream that had no other: some clients forget their place if a connection brings no id.
 */
export function closeFrame(reason: CloseReason, retryMs: number, id?: string): string {
  return encodeFrame({
    retry: retryMs,
    event: "close",
    ...(id !== undefined && { id }),
    data: JSON.stringify({ reason, retry_after_ms: retryMs } satisfies CloseNotice),
  });
}

/**
 * How long the peer of an ended stream waits, jittered so that a crowd does not come back at once. Whoever finds no
 * place waits 1 to 2 times `retry_after_seconds`; whoever can come back at once waits 0.1 to 1 s.
 */
export function retryDelayMs(reason: CloseReason, retryAfterMs: number, random: () => number): number {
  const crowded = reason === "shutdown" || reason === "drain" || reason === "limit" || reason === "kicked";
  return Math.round(crowded ? retryAfterMs * (1 + random()) : 100 + 900 * random());
}

/** How a refusal is told on a stream: by reasons that pass by themselves. */
const REFUSAL_REASONS: Partial<Record<RefusalCode, CloseReason>> = {
  limit: "limit",
  address_limit: "limit",
  rate_limited: "limit",
  too_many_channels: "limit",
  channels_full: "limit",
  draining: "drain",
  shutting_down: "shutdown",
};

/**
 * A refusal as a stream, for clients that die of any status but 200, as a native EventSource does. Null if the client has
 * to know the status. A client is never sent back before `retryAfterSeconds` of the refusal; the jitter comes on top.
 *
 * @param lastEventId the id that the client asked for, repeated so that it keeps its place
 */
export function refusalFrame(
  error: HubError,
  lastEventId: string | null,
  retryAfterMs: number,
  random: () => number,
): string | null {
  const reason = REFUSAL_REASONS[error.code];
  if (reason === undefined) {
    return null;
  }
  const longerMs = Math.max(0, (error.retryAfterSeconds ?? 0) * 1_000 - retryAfterMs);
  const id = lastEventId !== null && REPEATABLE_ID.test(lastEventId) ? lastEventId : undefined;
  return closeFrame(reason, longerMs + retryDelayMs(reason, retryAfterMs, random), id);
}
