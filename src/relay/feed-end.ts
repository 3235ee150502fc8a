import { HubError } from "../hub/errors.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";

/**
 * Why a feed has no stream: the stream has `ended`, was `closed` by the hub, was `silent` for too long, or is `broken`;
 * or the hub has `refused` it or is `unreachable`.
 */
export type FeedEndReason = "ended" | "closed" | "silent" | "broken" | "refused" | "unreachable";

/** The end of an attempt to follow the hub. */
export class FeedEnd extends Error {
  readonly reason: FeedEndReason;
  /** With `closed`: the reason of the hub. */
  readonly closeReason: string | null;
  /** How long the hub asks the relay to wait. */
  readonly retryAfterMs: number;

  constructor(
    reason: FeedEndReason,
    detail: string,
    options: { readonly closeReason?: string; readonly retryAfterMs?: number } = {},
  ) {
    super(detail);
    this.name = "FeedEnd";
    this.reason = reason;
    this.closeReason = options.closeReason ?? null;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** Turns anything that was thrown during an attempt into the end of the attempt. */
export function toFeedEnd(error: unknown): FeedEnd {
  if (error instanceof FeedEnd) {
    return error;
  }
  if (error instanceof BrokenUpstreamError) {
    return new FeedEnd("broken", error.message);
  }
  if (error instanceof HubError) {
    const retryAfterMs = (error.retryAfterSeconds ?? 0) * 1_000;
    return new FeedEnd("refused", `${error.code}: ${error.message}`, { retryAfterMs });
  }
  return new FeedEnd("unreachable", String(error));
}
