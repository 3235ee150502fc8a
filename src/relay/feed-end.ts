import { HubError, type RefusalCode } from "../hub/errors.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";

/**
 * Why a feed has no stream: the stream has `ended`, was `closed` by the hub, was `silent` for too long, or is `broken`;
 * or the hub has `refused` it or is `unreachable`.
 */
export type FeedEndReason = "ended" | "closed" | "silent" | "broken" | "refused" | "unreachable";

/** Why the clients of a relay have to leave together with it. */
export type GoodbyeReason = "drain" | "shutdown" | "replaced";

const GOODBYES: ReadonlySet<string> = new Set<GoodbyeReason>(["drain", "shutdown", "replaced"]);

/** The end of an attempt to follow the hub. */
export class FeedEnd extends Error {
  readonly reason: FeedEndReason;
  /** Set if the clients have to leave too. */
  readonly goodbye: GoodbyeReason | null;
  /** How long the hub asks the relay to wait. */
  readonly retryAfterMs: number;

  constructor(
    reason: FeedEndReason,
    detail: string,
    options: { readonly goodbye?: GoodbyeReason | null; readonly retryAfterMs?: number } = {},
  ) {
    super(detail);
    this.name = "FeedEnd";
    this.reason = reason;
    this.goodbye = options.goodbye ?? null;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The reason of a `close` frame, if the clients have to leave too. */
export function goodbyeOf(reason: unknown): GoodbyeReason | null {
  return typeof reason === "string" && GOODBYES.has(reason) ? (reason as GoodbyeReason) : null;
}

/** The refusals of a hub that accepts no streams. */
const REFUSALS: Partial<Record<RefusalCode, GoodbyeReason>> = {
  draining: "drain",
  shutting_down: "shutdown",
};

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
    return new FeedEnd("refused", `${error.code}: ${error.message}`, {
      retryAfterMs,
      goodbye: REFUSALS[error.code] ?? null,
    });
  }
  return new FeedEnd("unreachable", String(error));
}
