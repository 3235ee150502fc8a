import { HubError } from "../../hub/errors.ts";
import { bareFrames, refusalFrame } from "../../hub/audience/service-frames.ts";
import { problemResponse, type Problem } from "./problem.ts";
import { STREAM_HEADERS } from "./stream-headers.ts";

/** The request of a refused client. */
interface Refused {
  readonly streamsWhenBusy: boolean;
  readonly isBare: boolean;
  readonly lastEventId: string | null;
}

/**
 * The response to a refused client: a problem, or with `on_busy=stream` a stream that says so and ends. A native EventSource
 * gives up for good on any status but 200.
 */
export function refusalResponse(
  error: HubError | Problem,
  { streamsWhenBusy, isBare, lastEventId }: Refused,
  retryAfterSeconds: number,
): Response {
  const frame =
    streamsWhenBusy && error instanceof HubError
      ? refusalFrame(error, lastEventId, retryAfterSeconds * 1_000, Math.random)
      : null;
  return frame === null
    ? problemResponse(error, retryAfterSeconds)
    : new Response(isBare ? bareFrames(frame) : frame, { headers: STREAM_HEADERS });
}
