import { HubError } from "../../hub/errors.ts";
import { refusalFrame } from "../../hub/audience/service-frames.ts";
import { problemResponse, type Problem } from "./problem.ts";
import { STREAM_HEADERS } from "./stream-headers.ts";

/** What a refused client had asked for. */
interface Refused {
  readonly streamsWhenBusy: boolean;
  readonly lastEventId: string | null;
}

/**
 * The answer to a client that is not let in: a problem, or, since a native EventSource dies of any status but 200, a
 * stream that says so and ends.
 */
export function refusalResponse(
  error: HubError | Problem,
  { streamsWhenBusy, lastEventId }: Refused,
  retryAfterSeconds: number,
): Response {
  const frame =
    streamsWhenBusy && error instanceof HubError
      ? refusalFrame(error, lastEventId, retryAfterSeconds * 1_000, Math.random)
      : null;
  return frame === null
    ? problemResponse(error, retryAfterSeconds)
    : new Response(frame, { headers: STREAM_HEADERS });
}
