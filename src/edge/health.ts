import type { IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import { readerOf } from "./channel-reader.ts";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { authorize } from "./guard.ts";
import { Query } from "./query.ts";
import { workerLogger } from "./worker-logger.ts";
import { version } from "../../package.json";

/** `GET /health`: whether a channel can be used. 503 when its hub cannot be reached. Probes may add parameters. */
export async function readHealth(request: IRequest, env: Env): Promise<Response> {
  const asked = new URL(request.url).searchParams.getAll("channel");
  const query = new Query(new URLSearchParams(asked.map((name) => ["channel", name])), ["channel"]);
  const channel = query.channel();
  query.finish();
  requireAllowed(channel, env.CHANNELS.allowed);
  const hasNumbers = await mayReadNumbers(request, env);
  try {
    const { status, reasons, drainUntil, ...sse } = await (await readerOf(env, channel)).health();
    const numbers = {
      ...(drainUntil !== null && { draining_until: new Date(drainUntil).toISOString() }),
      active_connections: sse.activeConnections,
      lingering_connections: sse.lingeringConnections,
      max_connections: sse.maxConnections,
      last_event_id: String(sse.lastEventId),
      oldest_event_id: sse.oldestEventId === null ? null : String(sse.oldestEventId),
    };
    return respond(200, { channel, status, reasons, ...(hasNumbers && numbers) });
  } catch (error) {
    workerLogger(env.LOGGING.level)("error", "hub_unreachable", { channel, error: String(error) });
    const numbers = {
      active_connections: null,
      max_connections: env.SSE.max_connections,
      last_event_id: null,
    };
    const reasons = ["hub_unreachable"];
    return respond(503, { channel, status: "degraded", reasons, ...(hasNumbers && numbers) });
  }
}

/** A probe brings no token, and needs no numbers: where they are guarded it gets the state alone. */
async function mayReadNumbers(request: IRequest, env: Env): Promise<boolean> {
  try {
    await authorize(request, env, "metrics");
    return true;
  } catch (error) {
    if (error instanceof HubError) {
      return false;
    }
    throw error;
  }
}

function respond(
  httpStatus: number,
  sse: { readonly status: string; readonly [member: string]: unknown },
): Response {
  const headers = { "Cache-Control": "no-store" };
  return Response.json({ status: sse.status, version, sse }, { status: httpStatus, headers });
}
