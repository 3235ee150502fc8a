import type { IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import type { ClientView, Ended } from "../hub/views.ts";
import type { ClientRow, DrainAnswer, KickAnswer, ResumeAnswer, ShutdownAnswer } from "../wire/admin.ts";
import { inTurn, onListed, together } from "./all-channels.ts";
import { readerOf } from "./channel-reader.ts";
import { requireAllowed } from "./channels.ts";
import { directoryOf, type DirectoryObject, type Knowledge } from "./directory-object.ts";
import type { Env } from "./env.ts";
import { authorize, requireToken } from "./guard.ts";
import { hubOf } from "./hub-object.ts";
import { noteUnreachable } from "./known-channels.ts";
import { Query } from "./query.ts";
import { stopPublishes, stopStreams } from "./stopping.ts";

const DRAIN_SECONDS = { default: 300, most: 86_400 } as const;

/** `GET /api/admin/clients`: the registry of a channel. */
export async function listClients(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  const clients = await (await readerOf(env, channel ?? "default")).clients();
  const now = Date.now();
  return respond({ channel: channel ?? "default", clients: clients.map((client) => describe(client, now)) });
}

/** `DELETE /api/admin/clients/{id}`: ends the stream of one client. */
export async function kickClient(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  const id = request.params["id"] ?? "";
  const reader = await readerOf(env, channel ?? "default");
  if (!(await reader.kick(id))) {
    throw new HubError("unknown_client", "There is no such client in this channel.");
  }
  return respond({ id, kicked: true } satisfies KickAnswer);
}

/** `POST /api/admin/drain`: ends the streams of a channel, or of all, and lets nobody in for a while. */
export async function drainChannels(request: IRequest, env: Env): Promise<Response> {
  const { channel, query } = await readAdminRequest(request, env, ["channel", "for_seconds"]);
  const seconds = query.integer("for_seconds", 1, DRAIN_SECONDS.most) ?? DRAIN_SECONDS.default;
  query.finish();
  const until = Date.now() + seconds * 1_000;
  const ended = channel === null ? await drainAll(env, until) : [await drainOne(env, channel, until)];
  const { channels, closed } = summed(ended);
  const draining_until = new Date(until).toISOString();
  return respond({ channels, closed, draining_until } satisfies DrainAnswer);
}

/** `POST /api/admin/resume`: ends a drain before its time. */
export async function resumeChannels(request: IRequest, env: Env): Promise<Response> {
  const { channel } = await readAdminRequest(request, env, ["channel"]);
  const channels = channel === null ? await resumeAll(env) : await resumeOne(env, channel);
  return respond({ channels } satisfies ResumeAnswer);
}

/** Those without clients are not woken: they learn of it before their next client. */
async function drainAll(env: Env, until: number): Promise<Ended[]> {
  const epoch = await directoryOf(env).drainAll(until);
  return onListed<Ended>(
    env,
    (after) => directoryOf(env).occupied(after),
    (hub) => hub.drain(until, epoch),
  );
}

/** A channel that nobody has used has no object to be told: it learns of it before its first client. */
async function drainOne(env: Env, channel: string, until: number): Promise<Ended> {
  const knowledge = await tell(env, (directory) => directory.drain(channel, until));
  return knowledge?.isKnown === false
    ? { closed: 0, lingering: 0 }
    : hubOf(env, channel).drain(until, knowledge?.epoch ?? null);
}

/** Every channel that was told of a drain is told of its end; one that cannot be reached stays listed for the next time. */
async function resumeAll(env: Env): Promise<number> {
  const epoch = await directoryOf(env).resumeAll();
  const resumed = await onListed(
    env,
    (after) => directoryOf(env).drained(after),
    async (hub, channel) => {
      await hub.resume(epoch);
      await directoryOf(env).resumed(channel, epoch);
    },
  );
  return resumed.length;
}

async function resumeOne(env: Env, channel: string): Promise<number> {
  const knowledge = await tell(env, (directory) => directory.resume(channel));
  if (knowledge?.isKnown !== false) {
    await hubOf(env, channel).resume(knowledge?.epoch ?? null);
  }
  return 1;
}

/** Tells the directory of a change to one channel. Null: it cannot be reached, and the hub has to do without it. */
async function tell(
  env: Env,
  change: (directory: DurableObjectStub<DirectoryObject>) => Promise<Knowledge>,
): Promise<Knowledge | null> {
  try {
    return await change(directoryOf(env));
  } catch (error) {
    noteUnreachable(env, error);
    return null;
  }
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
  stopStreams();
  const channels = await directoryOf(env).stop();
  // Everybody is told before anybody is waited for: one peer that does not read must not cost the others their `close`.
  const told = await inTurn(env, channels, (hub) => hub.stop());
  const settled = await together(env, channels, (hub) => hub.settled());
  stopPublishes();
  const lingering = settled.reduce((total, one) => total + one, 0);
  return respond({ ...summed(told), lingering } satisfies ShutdownAnswer);
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

function summed(ended: readonly Ended[]): { channels: number; closed: number; lingering: number } {
  const sum = (pick: (one: Ended) => number): number => ended.reduce((total, one) => total + pick(one), 0);
  return {
    channels: ended.length,
    closed: sum((one) => one.closed),
    lingering: sum((one) => one.lingering),
  };
}

function describe(client: ClientView, now: number): ClientRow {
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
