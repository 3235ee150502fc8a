import { isAllowedOrigin } from "../../auth/origin.ts";
import type { CorsConfig } from "../../config/schema.ts";

/** The headers that our client, a publisher and a native EventSource send. */
const ALLOWED_HEADERS = "Authorization, Content-Type, Last-Event-ID, Cache-Control";

/** How long a browser may keep the answer to a preflight, in seconds. No browser keeps it longer. */
const PREFLIGHT_SECONDS = 7_200;

/**
 * Answers a preflight of an allowed origin; null for any other request. Source: Fetch, section 3.3.
 *
 * @param methods the methods of the route
 */
export function preflightResponse(
  request: Request,
  cors: CorsConfig,
  methods: readonly string[],
): Response | null {
  const isPreflight = request.method === "OPTIONS" && request.headers.has("Access-Control-Request-Method");
  if (!isPreflight || allowedOrigin(request, cors) === null) {
    return null;
  }
  const headers = {
    "Access-Control-Allow-Methods": methods.join(", "),
    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
    "Access-Control-Max-Age": String(PREFLIGHT_SECONDS),
  };
  return new Response(null, { status: 204, headers });
}

/** Lets a page of an allowed origin read a response. Other origins get nothing. */
export function addCors(headers: Headers, request: Request, cors: CorsConfig): void {
  if (cors.allowed_origins.length === 0) {
    return;
  }
  headers.append("Vary", "Origin");
  const origin = allowedOrigin(request, cors);
  if (origin !== null) {
    headers.set("Access-Control-Allow-Origin", origin);
    headers.set("Access-Control-Allow-Credentials", "true");
    headers.set("Access-Control-Expose-Headers", "Retry-After");
  }
}

function allowedOrigin(request: Request, cors: CorsConfig): string | null {
  const origin = request.headers.get("Origin");
  return origin !== null && isAllowedOrigin(origin, cors.allowed_origins) ? origin : null;
}
