import type { IRequest } from "itty-router";
import { isListed } from "../../hub/pattern.ts";
import type { ChannelHealth, ChannelNumbers, HealthAnswer, ServiceHealthAnswer } from "../../wire/health.ts";
import { authorize } from "../access/authorize.ts";
import { readerOf } from "../channel-reader.ts";
import { DEFAULT_CHANNEL, requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";
import { version } from "../../../package.json";

/** The reason of a channel whose hub cannot be reached. */
const UNREACHABLE = "hub_unreachable";

/** How much an answer tells about a channel. */
interface Detail {
  readonly hasNumbers: boolean;
  /** `probe=1`: clients that have left are found first, so that none of them is counted. */
  readonly findsDead: boolean;
}

/**
 * `GET /health`: whether a channel can be used, or without `channel` whether the service works. The status is 503 if the
 * hub of the channel cannot be reached. Unknown parameters are ignored, because health probes add their own.
 */
export async function readHealth(request: IRequest, service: Service): Promise<Response> {
  const { searchParams: parameters } = new URL(request.url);
  const asked = parameters.getAll("channel");
  const hasNumbers = await mayReadNumbers(request, service);
  const detail = { hasNumbers, findsDead: hasNumbers && parameters.get("probe") === "1" };
  if (asked.length === 0) {
    return respond(await serviceHealth(service, detail));
  }
  const query = new Query(new URLSearchParams(asked.map((name): [string, string] => ["channel", name])), [
    "channel",
  ]);
  const channel = query.channel();
  query.finish();
  requireAllowed(channel, service.host.config.channels.allowed);
  const sse = await channelHealth(service, channel, detail);
  return respond({ status: sse.status, version, sse });
}

/** The service is healthy as long as it answers. The default channel is shown too if it is allowed. */
async function serviceHealth(service: Service, detail: Detail): Promise<ServiceHealthAnswer> {
  const channels = detail.hasNumbers ? { channels: await countChannels(service) } : {};
  if (!isListed(DEFAULT_CHANNEL, service.host.config.channels.allowed)) {
    return { status: "healthy", version, ...channels };
  }
  const sse = await channelHealth(service, DEFAULT_CHANNEL, detail);
  return { status: sse.status, version, ...channels, sse };
}

/** How many channels have been used; null if the directory cannot be reached. */
async function countChannels({ host, channels }: Service): Promise<number | null> {
  try {
    return (await host.directory.active(0)).total;
  } catch (error) {
    channels.noteUnreachable(error);
    return null;
  }
}

async function channelHealth(
  service: Service,
  channel: string,
  { hasNumbers, findsDead }: Detail,
): Promise<ChannelHealth> {
  try {
    const reader = await readerOf(service, channel);
    if (findsDead) {
      await reader.findDead();
    }
    const { status, reasons, drainUntil, ...sse } = await reader.health();
    const numbers: ChannelNumbers = {
      ...(drainUntil !== null && { draining_until: new Date(drainUntil).toISOString() }),
      active_connections: sse.activeConnections,
      lingering_connections: sse.lingeringConnections,
      max_connections: sse.maxConnections,
      last_event_id: String(sse.lastEventId),
      oldest_event_id: sse.oldestEventId === null ? null : String(sse.oldestEventId),
      ...(sse.relays !== undefined && {
        relays: {
          count: sse.relays.count,
          behind: sse.relays.behind,
          events_behind: sse.relays.eventsBehind,
        },
      }),
    };
    return { channel, status, reasons, ...(hasNumbers && numbers) };
  } catch (error) {
    service.host.logger("error", "hub_unreachable", { channel, error: String(error) });
    const numbers: ChannelNumbers = {
      active_connections: null,
      max_connections: service.host.config.sse.max_connections,
      last_event_id: null,
    };
    return { channel, status: "degraded", reasons: [UNREACHABLE], ...(hasNumbers && numbers) };
  }
}

/** Without a valid credential, the answer has no numbers. It is not refused, because health probes bring no credential. */
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

function respond(answer: HealthAnswer | ServiceHealthAnswer): Response {
  const isReached = answer.sse?.reasons.includes(UNREACHABLE) !== true;
  return Response.json(answer, {
    status: isReached ? 200 : 503,
    headers: { "Cache-Control": "no-store" },
  });
}
