import { HubError, LISTED_MISTAKES, type RefusalCode } from "../../hub/errors.ts";
import type { ProblemBody, ProblemItem } from "../../wire/problem.ts";

/** Every way in which the service refuses, by a stable name that clients can rely on. */
export type ProblemCode = keyof typeof PROBLEMS;

/** What goes with a problem. */
export interface ProblemOptions {
  /** Everything that is wrong, when that is several things. The answer lists 100 of them at most. */
  readonly errors?: readonly ProblemItem[];
  /** The methods that the route takes, with `method_not_allowed`. */
  readonly allow?: readonly string[];
  /** When the same request may succeed, if that is known; else a passing problem says `retry_after_seconds`. */
  readonly retryAfterSeconds?: number | undefined;
}

/** A refusal of the service that the client is meant to see. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly ProblemItem[];
  readonly allow: readonly string[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.errors = (options.errors ?? []).slice(0, LISTED_MISTAKES);
    this.allow = options.allow;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The code of a problem for what a hub refuses: the token of a stream may end while the stream waits for a place. */
export function problemCodeOf(code: RefusalCode): ProblemCode {
  return code === "token_ended" ? "unauthorized" : code;
}

/** What each code means to an HTTP client. */
const PROBLEMS = {
  not_found: { status: 404, title: "No such route" },
  unknown_channel: { status: 404, title: "No such channel" },
  unknown_client: { status: 404, title: "No such client" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  not_configured: { status: 503, title: "Not configured" },
  unauthorized: { status: 401, title: "Unauthorized" },
  forbidden: { status: 403, title: "Forbidden" },
  origin_not_allowed: { status: 403, title: "Origin not allowed" },
  keys_unavailable: { status: 503, title: "Keys unavailable" },
  uri_too_long: { status: 414, title: "Address too long" },
  headers_too_large: { status: 431, title: "Headers too large" },
  not_acceptable: { status: 406, title: "Not acceptable" },
  unsupported_media_type: { status: 415, title: "Unsupported media type" },
  body_timeout: { status: 408, title: "Body too slow" },
  body_too_large: { status: 413, title: "Body too large" },
  too_many_events: { status: 413, title: "Too many events" },
  event_too_large: { status: 413, title: "Event too large" },
  invalid_request: { status: 400, title: "Invalid request" },
  invalid_parameter: { status: 400, title: "Invalid parameter" },
  invalid_body: { status: 400, title: "Invalid body" },
  invalid_event: { status: 400, title: "Invalid event" },
  mixed_channels: { status: 400, title: "Mixed channels" },
  conflicting_field: { status: 400, title: "Conflicting field" },
  key_taken: { status: 409, title: "Key taken" },
  limit: { status: 503, title: "Too many connections" },
  address_limit: { status: 429, title: "Too many connections from this address" },
  rate_limited: { status: 429, title: "Too many requests" },
  too_many_channels: { status: 429, title: "Too many new channels" },
  channels_full: { status: 503, title: "Too many channels without events" },
  draining: { status: 503, title: "Draining" },
  shutting_down: { status: 503, title: "Shutting down" },
  storage_full: { status: 503, title: "Storage full" },
  busy: { status: 503, title: "Busy" },
  hub_unreachable: { status: 503, title: "Hub unreachable" },
  internal: { status: 500, title: "Internal error" },
} as const;

/** Refusals that pass by themselves: the same request may succeed after a while. */
const PASSING: ReadonlySet<ProblemCode> = new Set([
  "keys_unavailable",
  "limit",
  "address_limit",
  "rate_limited",
  "too_many_channels",
  "channels_full",
  "draining",
  "shutting_down",
  "storage_full",
  "busy",
  "hub_unreachable",
]);

/** A refusal as the response of every route. Source of the body: RFC 9457. */
export function problemResponse(error: Problem | HubError, retryAfterSeconds: number): Response {
  const { message: detail, errors } = error;
  const code = error instanceof HubError ? problemCodeOf(error.code) : error.code;
  const headers = new Headers();
  if (PASSING.has(code)) {
    headers.set("Retry-After", String(error.retryAfterSeconds ?? retryAfterSeconds));
  }
  if (code === "unauthorized") {
    headers.set("WWW-Authenticate", 'Bearer realm="edge-sse"');
  }
  if (error instanceof Problem && error.allow !== undefined) {
    headers.set("Allow", error.allow.join(", "));
  }
  return respond(code, { detail, ...(errors.length > 0 && { errors }) }, headers);
}

/** A bug as a response: what broke goes to the log only, where this id finds it. */
export function bugResponse(requestId: string): Response {
  const detail = "Something broke on our side. The log says more under this request_id.";
  return respond("internal", { detail, request_id: requestId }, new Headers());
}

function respond(
  code: ProblemCode,
  members: Pick<ProblemBody, "detail" | "errors" | "request_id">,
  headers: Headers,
): Response {
  const { status, title } = PROBLEMS[code];
  headers.set("Content-Type", "application/problem+json");
  headers.set("Cache-Control", "no-store");
  const body: ProblemBody = { type: `urn:edge-sse:problem:${code}`, title, status, ...members, code };
  return new Response(JSON.stringify(body), { status, headers });
}
