import type { IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import type { ClientView, Ended } from "../hub/views.ts";
import { inTurn, onAllChannels, together, type Act } from "./all-channels.ts";
import { requireAllowed } from "./channels.ts";
import { directoryOf } from "./directory-object.ts";
import type { Env } from "./env.ts";
import { authorize, requireToken } from "./guard.ts";
import { hubOf } from "./hub-object.ts";
import { Query } from "./query.ts";

const DRAIN_SECONDS = { default: 300, most: 86_400 } as const;

/** `GET /api/admin/clients`: the registry of a channel. */
export async function listClients(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  const clients = await hubOf(env, channel ?? "default").clients();
  const now = Date.now();
  return respond({ channel: channel ?? "default", clients: clients.map((client) => describe(client, now)) });
}

/** `DELETE /api/admin/clients/{id}`: ends the stream of one client. */
export async function kickClient(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  const id = request.params["id"] ?? "";
  if (!(await hubOf(env, channel ?? "default").kick(id))) {
    throw new HubError("unknown_client", "There is no such client in this channel.");
  }
  return respond({ id, kicked: true });
}

/** `POST /api/admin/drain`: ends the streams of a channel, or of all, and lets nobody in for a while. */
export async function drainChannels(request: IRequest, env: Env): Promise<Response> {
  const { channel, query } = await readAdminRequest(request, env, ["channel", "for_seconds"]);
  const seconds = query.integer("for_seconds", 1, DRAIN_SECONDS.most) ?? DRAIN_SECONDS.default;
  query.finish();
  const until = Date.now() + seconds * 1_000;
  if (channel === null) {
    await directoryOf(env).drain(until);
  }
  const ended = await onChannels<Ended>(env, channel, (hub) => hub.drain(until));
  const { channels, closed } = summed(ended);
  return respond({ channels, closed, draining_until: new Date(until).toISOString() });
}

/** `POST /api/admin/resume`: ends a drain before its time. */
export async function resumeChannels(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  if (channel === null) {
    await directoryOf(env).drain(null);
  }
  const resumed = await onChannels(env, channel, async (hub) => hub.resume());
  return respond({ channels: resumed.length });
}

/** Lets nothing through where no local launcher has started the service: there is no such route then. */
export function requireLauncher(_request: IRequest, env: Env): void {
  if (!env.SHUTDOWN_TOKEN) {
    throw new HubError("not_found", "There is nothing at this path.");
  }
}

/** `POST /api/admin/shutdown`: how the local launcher ends all streams. */
export async function stopChannels(request: IRequest, env: Env): Promise<Response> {
  await requireToken(request, env.SHUTDOWN_TOKEN ?? "");
  const channels = await directoryOf(env).stop();
  // Everybody is told before anybody is waited for: one peer that does not read must not cost the others their `close`.
  const told = await inTurn(env, channels, (hub) => hub.stop());
  const settled = await together(env, channels, (hub) => hub.settled());
  return respond({ ...summed(told), lingering: settled.reduce((total, one) => total + one, 0) });
}

async function readAdminRequest(
  request: IRequest,
  env: Env,
  known: readonly string[],
): Promise<{ channel: string | null; query: Query }> {
  await authorize(request, env, "admin");
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, known);
  const channel = parameters.has("channel") ? query.channel() : null;
  if (!known.includes("for_seconds")) {
    query.finish();
  }
  if (channel !== null && !query.hasMistakes) {
    requireAllowed(channel, env.CHANNELS.allowed);
  }
  return { channel, query };
}

/** Acts on one channel, or on every one that exists. */
async function onChannels<Outcome>(env: Env, channel: string | null, act: Act<Outcome>): Promise<Outcome[]> {
  return channel === null ? onAllChannels(env, act) : [await act(hubOf(env, channel), channel)];
}

function summed(ended: readonly Ended[]): { channels: number; closed: number; lingering: number } {
  const sum = (pick: (one: Ended) => number): number => ended.reduce((total, one) => total + pick(one), 0);
  return {
    channels: ended.length,
    closed: sum((one) => one.closed),
    lingering: sum((one) => one.lingering),
  };
}

function describe(client: ClientView, now: number): object {
  const { types, projectIds, agentIds } = client.terms;
  return {
    id: client.id,
    connected_at: new Date(client.connectedAt).toISOString(),
    last_event_at: client.lastEventAt === null ? null : new Date(client.lastEventAt).toISOString(),
    last_written_at: new Date(client.writtenAt).toISOString(),
    pending_ms: client.pendingSince === null ? 0 : now - client.pendingSince,
    token_ends_at: client.tokenEndsAt === null ? null : new Date(client.tokenEndsAt).toISOString(),
    resumed_from: client.resumedFrom,
    filter: { types: types ?? null, project_id: projectIds ?? null, agent_id: agentIds ?? null },
    cursor: String(client.cursor),
    lag: client.lag,
    events_sent: client.eventsSent,
  };
}

function respond(body: object): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
