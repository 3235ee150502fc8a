import type { IRequest } from "itty-router";
import { isListed } from "../auth/pattern.ts";
import { HubError } from "../hub/errors.ts";
import type { ChannelHealth, ChannelNumbers, HealthAnswer, ServiceHealthAnswer } from "../wire/health.ts";
import { readerOf } from "./channel-reader.ts";
import { requireAllowed } from "./channels.ts";
import { directoryOf } from "./directory-object.ts";
import type { Env } from "./env.ts";
import { authorize } from "./guard.ts";
import { noteUnreachable } from "./known-channels.ts";
import { Query } from "./query.ts";
import { workerLogger } from "./worker-logger.ts";
import { version } from "../../package.json";

/** The reason of a channel whose hub does not answer. */
const UNREACHABLE = "hub_unreachable";

const DEFAULT_CHANNEL = "default";

/**
 * `GET /health`: whether a channel can be used, or without `channel` the service as a whole. 503 if the hub of the channel
 * cannot be reached. Other parameters are ignored: probes may add some.
 */
export async function readHealth(request: IRequest, env: Env): Promise<Response> {
  const asked = new URL(request.url).searchParams.getAll("channel");
  const hasNumbers = await mayReadNumbers(request, env);
  if (asked.length === 0) {
    return respond(await serviceHealth(env, hasNumbers));
  }
  const query = new Query(new URLSearchParams(asked.map((name) => ["channel", name])), ["channel"]);
  const channel = query.channel();
  query.finish();
  requireAllowed(channel, env.CHANNELS.allowed);
  const sse = await channelHealth(env, channel, hasNumbers);
  return respond({ status: sse.status, version, sse });
}

/** The service works as long as its Worker answers. The default channel is shown too, where it is allowed. */
async function serviceHealth(env: Env, hasNumbers: boolean): Promise<ServiceHealthAnswer> {
  const channels = hasNumbers ? { channels: await countChannels(env) } : {};
  if (!isListed(DEFAULT_CHANNEL, env.CHANNELS.allowed)) {
    return { status: "healthy", version, ...channels };
  }
  const sse = await channelHealth(env, DEFAULT_CHANNEL, hasNumbers);
  return { status: sse.status, version, ...channels, sse };
}

/** How many channels have been used; null if the directory cannot be asked. */
async function countChannels(env: Env): Promise<number | null> {
  try {
    return (await directoryOf(env).active(0)).total;
  } catch (error) {
    noteUnreachable(env, error);
    return null;
  }
}

async function channelHealth(env: Env, channel: string, hasNumbers: boolean): Promise<ChannelHealth> {
  try {
    const { status, reasons, drainUntil, ...sse } = await (await readerOf(env, channel)).health();
    const numbers: ChannelNumbers = {
      ...(drainUntil !== null && { draining_until: new Date(drainUntil).toISOString() }),
      active_connections: sse.activeConnections,
      lingering_connections: sse.lingeringConnections,
      max_connections: sse.maxConnections,
      last_event_id: String(sse.lastEventId),
      oldest_event_id: sse.oldestEventId === null ? null : String(sse.oldestEventId),
    };
    return { channel, status, reasons, ...(hasNumbers && numbers) };
  } catch (error) {
    workerLogger(env.LOGGING.level)("error", "hub_unreachable", { channel, error: String(error) });
    const numbers: ChannelNumbers = {
      active_connections: null,
      max_connections: env.SSE.max_connections,
      last_event_id: null,
    };
    return { channel, status: "degraded", reasons: [UNREACHABLE], ...(hasNumbers && numbers) };
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

function respond(answer: HealthAnswer | ServiceHealthAnswer): Response {
  const isReached = answer.sse?.reasons.includes(UNREACHABLE) !== true;
  return Response.json(answer, {
    status: isReached ? 200 : 503,
    headers: { "Cache-Control": "no-store" },
  });
}
