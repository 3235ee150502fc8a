import { Router, type IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import { withinBudget } from "./access/within-budget.ts";
import type { Host } from "./host.ts";
import { refusalAtDoor } from "./request/door.ts";
import { addCors, preflightResponse } from "./response/cors.ts";
import { bugResponse, Problem, problemResponse } from "./response/problem.ts";
import {
  drainChannels,
  kickClient,
  listClients,
  requireLauncher,
  resumeChannels,
  stopChannels,
} from "./routes/admin.ts";
import { serveAsset } from "./routes/assets.ts";
import { describeStream, streamEvents } from "./routes/events.ts";
import { readFilters } from "./routes/filters.ts";
import { readHealth } from "./routes/health.ts";
import { readHistory } from "./routes/history.ts";
import { readMetrics } from "./routes/metrics.ts";
import { publishEvents } from "./routes/publish.ts";
import { issueTicket } from "./routes/tickets.ts";
import { Service } from "./service.ts";

/** Answers one method of one route. */
export type Handler = (request: IRequest, service: Service) => Response | Promise<Response>;

/** The routes: the table of contents of the service. */
const router = Router<IRequest, [Service]>({ catch: refuse })
  .all("/api/events", methods({ GET: streamEvents, HEAD: describeStream }))
  .all("/api/publish", methods({ POST: publishEvents }))
  .all("/api/history", methods({ GET: readHistory, HEAD: readHistory }))
  .all("/api/filters", methods({ GET: readFilters, HEAD: readFilters }))
  .all("/api/tickets", methods({ POST: issueTicket }))
  .all("/health", methods({ GET: readHealth, HEAD: readHealth }))
  .all("/metrics", methods({ GET: readMetrics, HEAD: readMetrics }))
  .all("/api/admin/clients", methods({ GET: listClients, HEAD: listClients }))
  .all("/api/admin/clients/:id", methods({ DELETE: kickClient }))
  .all("/api/admin/drain", methods({ POST: drainChannels }))
  .all("/api/admin/resume", methods({ POST: resumeChannels }))
  .all("/api/admin/shutdown", requireLauncher, methods({ POST: stopChannels }))
  .all("*", serveAsset);

/** The service on one host. Create it once for each process or isolate, because it keeps counts between requests. */
export function createService(host: Host): { fetch(request: Request): Promise<Response> } {
  const service = new Service(host);
  return { fetch: (request) => answerRequest(request, service) };
}

async function answerRequest(request: Request, service: Service): Promise<Response> {
  const { config, listenHost } = service.host;
  const refusal = refusalAtDoor(request, { listenHost, allowed: config.hosts.allowed });
  const response = await withinBudget(request, service, async () =>
    refusal === null ? router.fetch(request, service) : problemResponse(refusal, service.retryAfterSeconds),
  );
  return withHeaders(response, request, service);
}

/** Adds the headers of every response. The response of an object cannot be changed, so its body moves to a new one. */
function withHeaders(response: Response, request: Request, service: Service): Response {
  const own = new Response(response.body, response);
  own.headers.set("X-Content-Type-Options", "nosniff");
  addCors(own.headers, request, service.host.config.cors);
  return own;
}

function methods(handlers: Readonly<Record<string, Handler>>): Handler {
  return (request, service) => {
    const handler = Object.hasOwn(handlers, request.method) ? handlers[request.method] : undefined;
    if (handler === undefined) {
      const allow = Object.keys(handlers);
      const preflight = preflightResponse(request, service.host.config.cors, allow);
      if (preflight !== null) {
        return preflight;
      }
      throw new Problem("method_not_allowed", `This route accepts ${allow.join(" and ")} only.`, { allow });
    }
    return handler(request, service);
  };
}

function refuse(error: unknown, request: IRequest, service: Service): Response {
  if (error instanceof Problem || error instanceof HubError) {
    return problemResponse(error, service.retryAfterSeconds);
  }
  const requestId = crypto.randomUUID();
  service.host.logger("error", "request_failed", {
    request_id: requestId,
    method: request.method,
    path: new URL(request.url).pathname.slice(0, 256),
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  const refusal = service.host.refusalOf(error);
  return refusal === null ? bugResponse(requestId) : problemResponse(refusal, service.retryAfterSeconds);
}
