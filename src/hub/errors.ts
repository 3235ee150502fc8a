/**
 * Everything that a hub or the directory of channels refuses, by its own names. `src/service/response/problem.ts` says
 * what each means to an HTTP client.
 */
export type RefusalCode =
  | "token_ended"
  | "limit"
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

/** Mistakes that one refusal lists at most: a hostile batch must not choose the size of its answer. */
export const LISTED_MISTAKES = 100;

/** One event of a batch that is refused. */
export interface EventMistake {
  /** Position of the event in the batch, from 0. */
  readonly index: number;
  readonly field: string;
  /** What was expected. Never repeats a secret. */
  readonly detail: string;
}

/** What goes with a refusal. */
export interface RefusalOptions {
  /** The events that are wrong; `LISTED_MISTAKES` at most. */
  readonly errors?: readonly EventMistake[];
  /** When the same request may succeed, if that is known. */
  readonly retryAfterSeconds?: number | undefined;
}

/** A refusal that the client is meant to see. Anything else that is thrown is a bug. */
export class HubError extends Error {
  readonly code: RefusalCode;
  readonly errors: readonly EventMistake[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: RefusalCode, detail: string, options: RefusalOptions = {}) {
    super(detail);
    this.name = "HubError";
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
