import type { IRequest } from "itty-router";
import type { ClientView, Ended } from "../../hub/views.ts";
import type {
  ClientRow,
  ClientsAnswer,
  DrainAnswer,
  KickAnswer,
  ResumeAnswer,
  ShutdownAnswer,
} from "../../wire/admin.ts";
import { authorize, requireToken } from "../access/authorize.ts";
import { inTurn, onListed, together } from "../all-channels.ts";
import { readerOf } from "../channel-reader.ts";
import type { DirectoryPort, Knowledge } from "../host.ts";
import { DEFAULT_CHANNEL, requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";

const DRAIN_SECONDS = { default: 300, most: 86_400 } as const;

/** The most clients in one answer. */
const LISTED_CLIENTS = 1_000;

/** `GET /api/admin/clients`: the registered clients of a channel, page by page. */
export async function listClients(request: IRequest, service: Service): Promise<Response> {
  const { channel, query } = await readAdminRequest(request, service, ["limit", "after"]);
  const limit = query.integer("limit", 1, LISTED_CLIENTS) ?? LISTED_CLIENTS;
  const after = query.text("after") ?? "";
  query.finish();
  const reader = await readerOf(service, channel ?? DEFAULT_CHANNEL);
  const { clients, next } = await reader.clients({ after, limit });
  const now = service.host.clock.now();
  return respond<ClientsAnswer>({
    channel: channel ?? DEFAULT_CHANNEL,
    clients: clients.map((client) => describe(client, service.host.config.filters.fields, now)),
    next,
  });
}

/** `DELETE /api/admin/clients/{id}`: ends the stream of one client. */
export async function kickClient(request: IRequest, service: Service): Promise<Response> {
  const { channel } = await readAdminRequest(request, service);
  const id = request.params["id"] ?? "";
  const reader = await readerOf(service, channel ?? DEFAULT_CHANNEL);
  if (!(await reader.kick(id))) {
    throw new Problem(
      "unknown_client",
      "There is no such client in this channel. GET /api/admin/clients lists the clients.",
    );
  }
  return respond<KickAnswer>({ id, kicked: true });
}

/** `POST /api/admin/drain`: ends the streams of a channel, or of all channels, and refuses new streams for a while. */
export async function drainChannels(request: IRequest, service: Service): Promise<Response> {
  const { channel, query } = await readAdminRequest(request, service, ["for_seconds"]);
  const seconds = query.integer("for_seconds", 1, DRAIN_SECONDS.most) ?? DRAIN_SECONDS.default;
  query.finish();
  const until = service.host.clock.now() + seconds * 1_000;
  const ended = channel === null ? await drainAll(service, until) : [await drainOne(service, channel, until)];
  const { channels, closed } = summed(ended);
  return respond<DrainAnswer>({ channels, closed, draining_until: new Date(until).toISOString() });
}

/** `POST /api/admin/resume`: ends a drain before its time. */
export async function resumeChannels(request: IRequest, service: Service): Promise<Response> {
  const { channel } = await readAdminRequest(request, service);
  const channels = channel === null ? await resumeAll(service) : await resumeOne(service, channel);
  return respond<ResumeAnswer>({ channels });
}

/** Wakes only the channels that have clients. The others learn of the drain before their next client. */
async function drainAll(service: Service, until: number): Promise<Ended[]> {
  const epoch = await service.host.directory.drainAll(until);
  return onListed<Ended>(
    service.host,
    (after) => service.host.directory.occupied(after),
    (hub) => hub.drain(until, epoch),
  );
}

/** Does not create the object of an unused channel, which learns of the drain before its first client. */
async function drainOne(service: Service, channel: string, until: number): Promise<Ended> {
  const knowledge = await tell(service, (directory) => directory.drain(channel, until));
  return knowledge?.isKnown === false
    ? { closed: 0, lingering: 0 }
    : service.host.hubs.of(channel).drain(until, knowledge?.epoch ?? null);
}

/** Tells all channels that know of a drain. A channel that cannot be reached stays in the directory's list for the next time. */
async function resumeAll(service: Service): Promise<number> {
  const epoch = await service.host.directory.resumeAll();
  const resumed = await onListed(
    service.host,
    (after) => service.host.directory.drained(after),
    async (hub, channel) => {
      await hub.resume(epoch);
      await service.host.directory.resumed(channel, epoch);
    },
  );
  return resumed.length;
}

async function resumeOne(service: Service, channel: string): Promise<number> {
  const knowledge = await tell(service, (directory) => directory.resume(channel));
  if (knowledge?.isKnown !== false) {
    await service.host.hubs.of(channel).resume(knowledge?.epoch ?? null);
  }
  return 1;
}

/** Tells the directory of a change to one channel. Null if it cannot be reached: the hub then works without it. */
async function tell(
  service: Service,
  change: (directory: DirectoryPort) => Promise<Knowledge>,
): Promise<Knowledge | null> {
  try {
    return await change(service.host.directory);
  } catch (error) {
    service.channels.noteUnreachable(error);
    return null;
  }
}

/** Hides the route unless a local launcher has started the service. */
export function requireLauncher(_request: IRequest, service: Service): void {
  if (!service.host.launcherToken) {
    throw new Problem("not_found", "There is nothing at this path.");
  }
}

/** `POST /api/admin/shutdown`: ends all streams, for the local launcher. */
export async function stopChannels(request: IRequest, service: Service): Promise<Response> {
  await requireToken(request, service, service.host.launcherToken ?? "");
  service.stopping.stopStreams();
  const channels = await service.host.directory.stop();
  // Tell all channels before waiting for any of them: a peer that does not read must not cost the others their `close`.
  const told = await inTurn(service.host, channels, (hub) => hub.stop());
  const settled = await together(service.host, channels, (hub) => hub.settled());
  service.stopping.stopPublishes();
  return respond<ShutdownAnswer>({
    ...summed(told),
    lingering: settled.reduce((total, one) => total + one, 0),
  });
}

/** @param more the parameters besides `channel`. A caller that names some reads them, and then finishes the query. */
async function readAdminRequest(
  request: IRequest,
  service: Service,
  more: readonly string[] = [],
): Promise<{ channel: string | null; query: Query }> {
  await authorize(request, service, "admin");
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, ["channel", ...more]);
  const channel = parameters.has("channel") ? query.channel() : null;
  if (more.length === 0) {
    query.finish();
  }
  if (channel !== null && !query.hasMistakes) {
    requireAllowed(channel, service.host.config.channels.allowed);
  }
  return { channel, query };
}

function summed(ended: readonly Ended[]): { channels: number; closed: number; lingering: number } {
  const sum = (pick: (one: Ended) => number): number => ended.reduce((total, one) => total + pick(one), 0);
  return {
    channels: ended.length,
    closed: sum((one) => one.closed),
    lingering: sum((one) => one.lingering),
  };
}

/** @param fields the fields of this deployment. A filter of an earlier configuration may have others. */
function describe(client: ClientView, fields: readonly string[], now: number): ClientRow {
  const { types, fields: wanted } = client.terms;
  const unused = Object.fromEntries(fields.map((name) => [name, null]));
  return {
    id: client.id,
    ...(client.relay !== undefined && { relay: client.relay }),
    connected_at: new Date(client.connectedAt).toISOString(),
    last_event_at: client.lastEventAt === null ? null : new Date(client.lastEventAt).toISOString(),
    last_written_at: new Date(client.writtenAt).toISOString(),
    pending_ms: client.pendingSince === null ? 0 : now - client.pendingSince,
    token_ends_at: client.tokenEndsAt === null ? null : new Date(client.tokenEndsAt).toISOString(),
    resumed_from: client.resumedFrom,
    filter: { types: types ?? null, ...unused, ...wanted },
    cursor: String(client.cursor),
    lag: client.lag,
    events_sent: client.eventsSent,
  };
}

function respond<Body extends object>(body: Body): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
