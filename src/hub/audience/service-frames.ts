import { encodeFrame } from "../../sse/encode.ts";
import type {
  CaughtUpNotice,
  CloseNotice,
  ConnectedNotice,
  ErrorNotice,
  GapNotice,
} from "../../wire/frames.ts";
import type { HubError, RefusalCode } from "../errors.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { Gap } from "../log/log-view.ts";
import type { Client, LeaveReason } from "./client.ts";

/** The frames of the service itself. They pass every filter. */

/** How many characters of a client's id are repeated to it: a client may send any text. */
const REQUESTED_ID_LENGTH = 64;

/**
 * An id that can be repeated in an `id:` line: it has no line break and no NUL, and is no longer than any id of a log.
 */
const REPEATABLE_ID = /^[\x21-\x7e]{1,64}$/;

const SLOW_MESSAGE = "This client did not accept its events in time. It can resume with its last event id.";

/**
 * The first bytes of every stream. `connected` carries the cursor as its id, so that a browser that is cut off before
 * its first matching event resumes from there. With a gap it carries no id, so that the browser's id moves only when
 * the client is told of the gap.
 */
export function openingFrames(
  client: Client,
  logName: string,
  settings: HubSettings,
  gap: Gap | null,
): string {
  const connected = {
    // In the block of `connected`: some parsers make an empty event of a `retry:` that stands alone.
    retry: settings.retryAfterMs,
    event: "connected",
    data: JSON.stringify({
      client_id: client.id,
      channel: settings.channel,
      last_event_id: String(client.cursor),
      log: logName,
      heartbeat_interval_seconds: settings.heartbeatIntervalMs / 1_000,
    } satisfies ConnectedNotice),
  };
  return gap === null
    ? encodeFrame({ ...connected, id: client.cursor })
    : encodeFrame(connected) + gapFrame(gap);
}

/** Says that events are missing. Its id is the one before the oldest kept event, because the kept events follow. */
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

/**
 * A comment that keeps the connection alive.
 *
 * @param cursor sent as the id if the filter has hidden events since the last one, so that the browser's id keeps up
 */
export function heartbeatFrame(cursor: number | null): string {
  return encodeFrame(cursor === null ? { comment: "heartbeat" } : { comment: "heartbeat", id: cursor });
}

/** Says that something recoverable happened to this stream. Carries no id. */
export function errorFrame(errorType: string, message: string, retryable: boolean): string {
  const notice: ErrorNotice = { error_type: errorType, message, retryable };
  return encodeFrame({ event: "error", data: JSON.stringify(notice) });
}

/** Says that the replay is complete, and that the stream is live from here on. Carries no id. */
export function caughtUpFrame(cursor: number): string {
  const notice: CaughtUpNotice = { last_event_id: String(cursor) };
  return encodeFrame({ event: "caught_up", data: JSON.stringify(notice) });
}

/**
 * The frames above for a client that wants no named ones: their names become comments, their data goes, and their ids and
 * delays stay, so that the client can resume. A block without data dispatches nothing.
 */
export function bareFrames(frames: string): string {
  return frames.replaceAll(/^event: (.*)$/gm, ": $1").replaceAll(/^data: .*\n/gm, "");
}

/** Why the service ends or refuses a stream. */
export type CloseReason = Exclude<LeaveReason, "client_left">;

/** The last frames of a stream that the service ends. */
export function goodbyeFrames(reason: CloseReason, retryMs: number): string {
  const error = reason === "slow_client" ? errorFrame("slow_client", SLOW_MESSAGE, true) : "";
  return error + closeFrame(reason, retryMs);
}

/**
 * Says why a stream ends. Its `retry` tells a native EventSource when to come back.
 *
 * @param id for a stream that carried no other id: some clients lose their place if a connection brings no id
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
 * How long the peer of an ended stream waits before it comes back. The jitter keeps a crowd from returning all at once.
 * If the channel takes no streams, the peer waits 1 to 2 times `retry_after_seconds`; otherwise 0.1 to 1 s.
 */
export function retryDelayMs(reason: CloseReason, retryAfterMs: number, random: () => number): number {
  const crowded = reason === "shutdown" || reason === "drain" || reason === "limit" || reason === "kicked";
  return Math.round(crowded ? retryAfterMs * (1 + random()) : 100 + 900 * random());
}

/** The close reason for each refusal that ends by itself. */
const REFUSAL_REASONS: Partial<Record<RefusalCode, CloseReason>> = {
  limit: "limit",
  relay_full: "limit",
  address_limit: "limit",
  rate_limited: "limit",
  too_many_channels: "limit",
  channels_full: "limit",
  draining: "drain",
  shutting_down: "shutdown",
};

/**
 * A refusal as the only frame of a stream, for clients that never reconnect after a status other than 200. A native
 * EventSource is one. The delay is at least the refusal's `retryAfterSeconds`, plus the jitter.
 *
 * @param lastEventId the id that the client asked for, repeated so that the client keeps its place
 * @returns null for a refusal that the client has to learn as a status
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
