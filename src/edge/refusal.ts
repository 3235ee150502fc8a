import type { HubError } from "../hub/errors.ts";
import { closeFrame, retryDelayMs, type CloseReason } from "../hub/service-frames.ts";
import { problemResponse } from "./problem.ts";
import { STREAM_HEADERS } from "./stream-headers.ts";

/** How a refusal is told on a stream. */
const CLOSE_REASONS: Partial<Record<HubError["code"], CloseReason>> = {
  limit: "limit",
  address_limit: "limit",
  rate_limited: "limit",
  draining: "drain",
  shutting_down: "shutdown",
};

/**
 * The answer to a client that finds no place: a problem, or, since a native EventSource dies of a 503 or a 429, a stream
 * that says so, and when to come back, and ends.
 */
export function refusalResponse(
  error: HubError,
  streamsWhenBusy: boolean,
  retryAfterSeconds: number,
): Response {
  const reason = CLOSE_REASONS[error.code];
  if (!streamsWhenBusy || reason === undefined) {
    return problemResponse(error, retryAfterSeconds);
  }
  const seconds = error.retryAfterSeconds ?? retryAfterSeconds;
  const frame = closeFrame(reason, retryDelayMs(reason, seconds * 1_000, Math.random));
  return new Response(frame, { headers: STREAM_HEADERS });
}
