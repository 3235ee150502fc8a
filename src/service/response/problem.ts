import { HubError, LISTED_MISTAKES, type RefusalCode } from "../../hub/errors.ts";
import type { ProblemBody, ProblemItem } from "../../wire/problem.ts";

/** The codes of all problems. They are part of the protocol: a code never changes its meaning. */
export type ProblemCode = keyof typeof PROBLEMS;

/** Details of a problem. */
export interface ProblemOptions {
  /** All mistakes of the request. The answer lists the first `LISTED_MISTAKES`. */
  readonly errors?: readonly ProblemItem[];
  /** With `method_not_allowed`: the methods that the route accepts. */
  readonly allow?: readonly string[];
  /** When the same request may succeed. Default for a passing problem: `sse.retry_after_seconds`. */
  readonly retryAfterSeconds?: number | undefined;
}

/** A refusal by the service that the client is meant to see. */
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

/** One refusal for a missing, a wrong and an expired token, so that an attacker learns nothing from it. */
export function unauthorized(): Problem {
  return new Problem("unauthorized", "A valid token is needed: Authorization: Bearer <token>.");
}

/**
 * The problem code for a refusal of a hub. A token can expire while its stream waits for a slot. A client does not learn
 * which relay refused it.
 */
export function problemCodeOf(code: RefusalCode): ProblemCode {
  switch (code) {
    case "token_ended":
      return "unauthorized";
    case "relay_full":
      return "limit";
    default:
      return code;
  }
}

/** The status and the title of each code. */
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
  uri_too_long: { status: 414, title: "URL too long" },
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

/** The problems that pass by themselves: the same request may succeed later. They get a `Retry-After`. */
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

/** The response to a refused request. Source: RFC 9457. */
export function problemResponse(refusal: Problem | HubError, retryAfterSeconds: number): Response {
  const isExpired = refusal instanceof HubError && refusal.code === "token_ended";
  const error = isExpired ? unauthorized() : refusal;
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

/** The response to a request that met a bug. It reveals nothing about the bug. The log has the details under the id. */
export function bugResponse(requestId: string): Response {
  const detail = "The service failed to answer this request. Its log has the details under this request_id.";
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
