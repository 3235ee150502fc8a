import { Router, type IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import {
  drainChannels,
  kickClient,
  listClients,
  requireLauncher,
  resumeChannels,
  stopChannels,
} from "./admin.ts";
import { serveAsset } from "./assets.ts";
import { addCors, preflightResponse } from "./cors.ts";
import { refusalAtDoor } from "./door.ts";
import type { Env } from "./env.ts";
import { readHealth } from "./health.ts";
import { readHistory } from "./history.ts";
import { readMetrics } from "./metrics.ts";
import { bugResponse, problemResponse } from "./problem.ts";
import { publishEvents } from "./publish.ts";
import { isStorageFull, storageFull } from "./storage-full.ts";
import { describeStream, streamEvents } from "./stream.ts";
import { issueTicket } from "./tickets.ts";
import { withinBudget } from "./within-budget.ts";
import { workerLogger } from "./worker-logger.ts";

/** Answers one method of one route. */
export type Handler = (request: IRequest, env: Env) => Response | Promise<Response>;

/** The routes: the table of contents of the service. */
const router = Router<IRequest, [Env]>({ catch: refuse })
  .all("/api/events", methods({ GET: streamEvents, HEAD: describeStream }))
  .all("/api/publish", methods({ POST: publishEvents }))
  .all("/api/history", methods({ GET: readHistory, HEAD: readHistory }))
  .all("/api/tickets", methods({ POST: issueTicket }))
  .all("/health", methods({ GET: readHealth, HEAD: readHealth }))
  .all("/metrics", methods({ GET: readMetrics, HEAD: readMetrics }))
  .all("/api/admin/clients", methods({ GET: listClients, HEAD: listClients }))
  .all("/api/admin/clients/:id", methods({ DELETE: kickClient }))
  .all("/api/admin/drain", methods({ POST: drainChannels }))
  .all("/api/admin/resume", methods({ POST: resumeChannels }))
  .all("/api/admin/shutdown", requireLauncher, methods({ POST: stopChannels }))
  .all("*", serveAsset);

/** Answers a request, whatever it is. */
export async function answerRequest(request: Request, env: Env): Promise<Response> {
  const refusal = refusalAtDoor(request, env);
  const response = await withinBudget(request, env, async () =>
    refusal === null ? router.fetch(request, env) : problemResponse(refusal, env.SSE.retry_after_seconds),
  );
  return withHeaders(response, request, env);
}

/** What every response has. One of an object cannot be changed, but taken over: its body is not touched. */
function withHeaders(response: Response, request: Request, env: Env): Response {
  const own = new Response(response.body, response);
  own.headers.set("X-Content-Type-Options", "nosniff");
  addCors(own.headers, request, env);
  return own;
}

function methods(handlers: Readonly<Record<string, Handler>>): Handler {
  return (request, env) => {
    const handler = Object.hasOwn(handlers, request.method) ? handlers[request.method] : undefined;
    if (handler === undefined) {
      const allow = Object.keys(handlers);
      const preflight = preflightResponse(request, env, allow);
      if (preflight !== null) {
        return preflight;
      }
      throw new HubError("method_not_allowed", `This route takes ${allow.join(", ")}.`, { allow });
    }
    return handler(request, env);
  };
}

function refuse(error: unknown, request: IRequest, env: Env): Response {
  if (error instanceof HubError) {
    return problemResponse(error, env.SSE.retry_after_seconds);
  }
  const requestId = crypto.randomUUID();
  workerLogger(env.LOGGING.level)("error", "request_failed", {
    request_id: requestId,
    method: request.method,
    path: new URL(request.url).pathname.slice(0, 256),
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  const refusal = refusalOf(error);
  return refusal === null ? bugResponse(requestId) : problemResponse(refusal, env.SSE.retry_after_seconds);
}

/** What breaks without a bug of ours: an object that is overloaded, moved or reset, as the runtime marks it; storage. */
function refusalOf(error: unknown): HubError | null {
  const { retryable, overloaded } = (error ?? {}) as { retryable?: unknown; overloaded?: unknown };
  if (isStorageFull(error)) {
    return storageFull();
  }
  if (retryable === true || overloaded === true) {
    return new HubError("hub_unreachable", "The hub cannot be reached just now.");
  }
  return null;
}
