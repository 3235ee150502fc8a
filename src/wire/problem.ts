/** One of several things that are wrong with a request. */
export interface ProblemItem {
  /** Position in the array of a JSON body, from 0. */
  readonly index?: number;
  /** Line of an NDJSON body, from 1. */
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
  /** A stable name of the problem that programs can rely on. */
  readonly code: string;
  /** Everything that is wrong, if that is several things: 100 items at most. */
  readonly errors?: readonly ProblemItem[];
  /** Finds the log line of an internal error. */
  readonly request_id?: string;
}
