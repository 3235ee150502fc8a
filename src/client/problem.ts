import type { ProblemItem } from "../wire/problem.ts";

/** What goes with a problem. */
export interface ProblemOptions {
  /** Trying again does not help. */
  readonly final?: boolean;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly errors?: readonly ProblemItem[] | undefined;
  readonly cause?: unknown;
}

/**
 * Why an attempt failed or a stream ended.
 *
 * `code` is the service's own for a refusal (`unauthorized`, `unknown_channel`, `limit`, ...; `http_<status>` when it
 * gave none), or one of: `network` (no connection, or cut), `timeout` (no answer in time), `content_type` (an answer that
 * is no event stream), `frame_too_large`, `heartbeat_missed` (the watchdog), `stream_ended` (without a `close` event),
 * `token` (the token function failed), or the reason of a `close` event (`shutdown`, `drain`, `limit`, `max_age`,
 * `slow_client`, `token_expired`, `kicked`).
 */
export class SSEProblem extends Error {
  readonly code: string;
  /** Whether it stops the client. Otherwise it tries again by itself. */
  readonly final: boolean;
  /** The HTTP status, of a refusal. */
  readonly status: number | undefined;
  /** Milliseconds after which the service wants to be asked again. */
  readonly retryAfterMs: number | undefined;
  /** Everything that is wrong, when that is several things. */
  readonly errors: readonly ProblemItem[];

  constructor(code: string, detail: string, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SSEProblem";
    this.code = code;
    this.final = options.final ?? false;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.errors = options.errors ?? [];
  }
}

/**
 * Anything that was thrown, as a problem that passes.
 *
 * @internal
 */
export function toProblem(error: unknown, code = "network"): SSEProblem {
  if (error instanceof SSEProblem) {
    return error;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new SSEProblem(code, detail, { cause: error });
}
