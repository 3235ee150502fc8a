/** One mistake in a request. */
export interface ProblemItem {
  /** The position in the array of a JSON body, from 0. */
  readonly index?: number;
  /** The line of an NDJSON body, from 1. */
  readonly line?: number;
  /** The member or parameter that is wrong. */
  readonly field?: string;
  /** What was expected. Never repeats a secret. */
  readonly detail: string;
}

/** The body of every error. Source: RFC 9457. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** A stable name of the problem, for programs. */
  readonly code: string;
  /** The mistakes in the request, at most 100. */
  readonly errors?: readonly ProblemItem[];
  /** Identifies the log line of an internal error. */
  readonly request_id?: string;
}
