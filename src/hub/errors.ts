/** Every way in which the service refuses, by a stable name that clients can rely on. */
export type ProblemCode =
  | "not_found"
  | "unknown_channel"
  | "unknown_client"
  | "method_not_allowed"
  | "not_configured"
  | "unauthorized"
  | "forbidden"
  | "origin_not_allowed"
  | "keys_unavailable"
  | "uri_too_long"
  | "headers_too_large"
  | "not_acceptable"
  | "unsupported_media_type"
  | "body_timeout"
  | "body_too_large"
  | "too_many_events"
  | "event_too_large"
  | "invalid_request"
  | "invalid_parameter"
  | "invalid_body"
  | "invalid_event"
  | "mixed_channels"
  | "conflicting_field"
  | "key_taken"
  | "limit"
  | "address_limit"
  | "rate_limited"
  | "too_many_channels"
  | "channels_full"
  | "draining"
  | "shutting_down"
  | "storage_full"
  | "busy"
  | "hub_unreachable"
  | "internal";

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

/** What goes with a refusal. */
export interface HubErrorOptions {
  /** Everything that is wrong, when that is several things; 100 items at most. */
  readonly errors?: readonly ProblemItem[];
  /** What may be done instead, with `method_not_allowed`. */
  readonly allow?: readonly string[];
  /** When the same request may succeed, if that is known; else a passing refusal says `retry_after_seconds`. */
  readonly retryAfterSeconds?: number | undefined;
}

/** A refusal that the caller is meant to see. Anything else that is thrown is a bug and answers a bare 500. */
export class HubError extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly ProblemItem[];
  readonly allow: readonly string[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, detail: string, options: HubErrorOptions = {}) {
    super(detail);
    this.name = "HubError";
    this.code = code;
    this.errors = options.errors ?? [];
    this.allow = options.allow;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
