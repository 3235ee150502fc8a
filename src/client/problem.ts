import type { ProblemItem } from "../wire/problem.ts";

export interface ProblemOptions {
  /** Whether another attempt would fail for the same reason. Default: false. */
  readonly final?: boolean;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly errors?: readonly ProblemItem[] | undefined;
  readonly cause?: unknown;
}

/**
 * The reason why an attempt failed or a stream ended.
 *
 * `code` is one of:
 * - the code of a refusal by the service, such as `unauthorized`, `unknown_channel` or `limit`, or `http_<status>` if
 *   the response has none;
 * - the reason of a `close` event: `shutdown`, `drain`, `limit`, `max_age`, `slow_client`, `token_expired`, `kicked`;
 * - `network`: there is no connection, or it was cut;
 * - `timeout`: no stream opened within 15 s, a frame took more than 2 minutes, or a publish had no answer within 10 s;
 * - `content_type`: the response is not an event stream;
 * - `frame_too_large`: a frame has more than 1 MiB;
 * - `heartbeat_missed`: nothing arrived for 2.5 to 3 heartbeat intervals;
 * - `stream_ended`: the stream ended without a `close` event;
 * - `token`: the token function failed;
 * - `answer`: the response to a publish has no receipts.
 */
export class SSEProblem extends Error {
  readonly code: string;
  /** Whether the client stops. Otherwise it tries again by itself. */
  readonly final: boolean;
  /** The HTTP status of a refusal. */
  readonly status: number | undefined;
  /** The delay that the service asks for before the next attempt, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The single mistakes of a request that has several. Empty otherwise. */
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
 * Turns anything that was thrown into a problem that is not final.
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
