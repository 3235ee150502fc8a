import type { IRequest } from "itty-router";
import type { ChannelHealth, ChannelNumbers, HealthAnswer } from "../../wire/health.ts";
import { authorize } from "../access/authorize.ts";
import { readerOf } from "../channel-reader.ts";
import { requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";
import { version } from "../../../package.json";

/** `GET /health`: whether a channel can be used. 503 when its hub cannot be reached. Probes may add parameters. */
export async function readHealth(request: IRequest, service: Service): Promise<Response> {
  const asked = new URL(request.url).searchParams.getAll("channel");
  const query = new Query(new URLSearchParams(asked.map((name) => ["channel", name])), ["channel"]);
  const channel = query.channel();
  query.finish();
  requireAllowed(channel, service.host.config.channels.allowed);
  const hasNumbers = await mayReadNumbers(request, service);
  try {
    const { status, reasons, drainUntil, ...sse } = await (await readerOf(service, channel)).health();
    const numbers: ChannelNumbers = {
      ...(drainUntil !== null && { draining_until: new Date(drainUntil).toISOString() }),
      active_connections: sse.activeConnections,
      lingering_connections: sse.lingeringConnections,
      max_connections: sse.maxConnections,
      last_event_id: String(sse.lastEventId),
      oldest_event_id: sse.oldestEventId === null ? null : String(sse.oldestEventId),
    };
    return respond(200, { channel, status, reasons, ...(hasNumbers && numbers) });
  } catch (error) {
    service.host.logger("error", "hub_unreachable", { channel, error: String(error) });
    const numbers: ChannelNumbers = {
      active_connections: null,
      max_connections: service.host.config.sse.max_connections,
      last_event_id: null,
    };
    const reasons = ["hub_unreachable"];
    return respond(503, { channel, status: "degraded", reasons, ...(hasNumbers && numbers) });
  }
}

/** A probe brings no token, and needs no numbers: where they are guarded it gets the state alone. */
async function mayReadNumbers(request: IRequest, service: Service): Promise<boolean> {
  try {
    await authorize(request, service, "metrics");
    return true;
  } catch (error) {
    if (error instanceof Problem) {
      return false;
    }
    throw error;
  }
}

function respond(httpStatus: number, sse: ChannelHealth): Response {
  const headers = { "Cache-Control": "no-store" };
  const answer: HealthAnswer = { status: sse.status, version, sse };
  return Response.json(answer, { status: httpStatus, headers });
}
