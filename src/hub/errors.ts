/**
 * The codes of everything that a hub or the directory of channels refuses. `src/service/response/problem.ts` maps each
 * code to an HTTP status and a text.
 */
export type RefusalCode =
  | "token_ended"
  | "limit"
  | "relay_full"
  | "address_limit"
  | "rate_limited"
  | "too_many_channels"
  | "channels_full"
  | "draining"
  | "shutting_down"
  | "storage_full"
  | "key_taken"
  | "busy"
  | "hub_unreachable";

/** The most mistakes that one refusal lists: a hostile batch must not choose the size of its answer. */
export const LISTED_MISTAKES = 100;

/** A mistake in one event of a batch. */
export interface EventMistake {
  /** The position of the event in the batch, from 0. */
  readonly index: number;
  readonly field: string;
  /** What was expected. Never repeats a secret. */
  readonly detail: string;
}

/** Details of a refusal. */
export interface RefusalOptions {
  /** At most `LISTED_MISTAKES` mistakes. */
  readonly errors?: readonly EventMistake[];
  /** When the same request may succeed; absent if that is not known. */
  readonly retryAfterSeconds?: number | undefined;
  /** With `relay_full`: the relay that has room. */
  readonly next?: string | undefined;
}

/** A refusal that the client is meant to see. Any other error is a bug. */
export class HubError extends Error {
  readonly code: RefusalCode;
  readonly errors: readonly EventMistake[];
  readonly retryAfterSeconds: number | undefined;
  readonly next: string | undefined;

  constructor(code: RefusalCode, detail: string, options: RefusalOptions = {}) {
    super(detail);
    this.name = "HubError";
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.next = options.next;
  }
}
