import { waitUntil } from "cloudflare:workers";
import { hexDigest } from "../auth/digest.ts";
import type { DirectoryPort, Host, HubPort, Hubs, TicketsPort } from "../service/host.ts";
import { usesRelays } from "../service/hub-settings.ts";
import { createService } from "../service/router.ts";
import { HubError } from "../hub/errors.ts";
import { unwrap, type Answer } from "../service/answer.ts";
import { configOf } from "./config.ts";
import type { Env } from "./env.ts";
import { openStream, streamRequest, type DirectoryRpc, type HubRpc } from "./objects.ts";
import { peerOf } from "./peer.ts";
import { regionOf } from "./region.ts";
import { RelayConnects } from "./relay-connects.ts";
import { isStorageFull, storageFull } from "../sql/storage-full.ts";
import { systemClock } from "./system-clock.ts";
import { workerLogger } from "./worker-logger.ts";

/** One service for each isolate. The bindings are the same object for all requests of an isolate. */
const services = new WeakMap<Env, ReturnType<typeof createService>>();

/** Answers a request to the Worker. */
export function answerRequest(request: Request, env: Env): Promise<Response> {
  const service = services.get(env) ?? createService(hostOf(env));
  services.set(env, service);
  return service.fetch(request);
}

/** The ports of the service on Cloudflare. */
function hostOf(env: Env): Host {
  return {
    config: configOf(env),
    secrets: env,
    hubs: hubsOf(env),
    directory: directoryPort(() => env.DIRECTORY.get(env.DIRECTORY.idFromName("directory"))),
    tickets: ticketsPort(env),
    logger: workerLogger(env.LOGGING.level),
    clock: systemClock,
    rate: env.REQUEST_RATE,
    launcherToken: env.SHUTDOWN_TOKEN,
    listenHost: env.LISTEN_HOST,
    asset: (request) => env.ASSETS.fetch(request),
    regionOf: (request) => regionOf(request, env.LAUNCH_ID !== undefined),
    peerOf: (request) => peerOf(request, env.LAUNCH_ID !== undefined),
    keepAlive: waitUntil,
    refusalOf,
  };
}

/** Waits for the answer of an object. Returns its value, or throws its refusal. */
async function ask<Value>(answer: Promise<Answer<Value>>): Promise<Value> {
  return unwrap(await answer);
}

/** The hubs of all channels. The streams of a large channel are held by its relays. */
function hubsOf(env: Env): Hubs {
  const relays = new RelayConnects(env.RELAY_OBJECTS, systemClock);
  const hasRelays = usesRelays(configOf(env));
  return {
    of: (channel) => {
      const hub = hubPort(env.HUBS.get(env.HUBS.idFromName(channel)));
      return hasRelays
        ? { ...hub, connect: (request, region) => relays.connect(channel, region, request) }
        : hub;
    },
  };
}

/** The port to the hub of a channel. */
export function hubPort(hub: DurableObjectStub<HubRpc>): HubPort {
  return {
    connect: (request) => openStream(hub, streamRequest(request)),
    publish: (events, publisher, grant) => ask(hub.publish(events, publisher, grant)),
    history: (request) => ask(hub.history(request)),
    health: () => ask(hub.health()),
    findDead: () => ask(hub.findDead()),
    counters: () => ask(hub.counters()),
    clients: (page) => ask(hub.clients(page)),
    kick: (clientId) => ask(hub.kick(clientId)),
    drain: (until, epoch) => ask(hub.drain(until, epoch)),
    resume: (epoch) => ask(hub.resume(epoch)),
    stop: () => ask(hub.stop()),
    settled: () => ask(hub.settled()),
  };
}

/** The port to the directory. @param reach makes a new stub for each question, because a stub that has failed stays broken */
export function directoryPort(reach: () => DurableObjectStub<DirectoryRpc>): DirectoryPort {
  return {
    look: (channel) => ask(reach().look(channel)),
    enter: async (channel, entrant) => {
      await ask(reach().enter(channel, entrant));
    },
    occupied: (after) => ask(reach().occupied(after)),
    active: (limit) => ask(reach().active(limit)),
    drainAll: (until) => ask(reach().drainAll(until)),
    resumeAll: () => ask(reach().resumeAll()),
    drained: (after) => ask(reach().drained(after)),
    resumed: (channel, epoch) => ask(reach().resumed(channel, epoch)),
    drain: (channel, until) => ask(reach().drain(channel, until)),
    resume: (channel) => ask(reach().resume(channel)),
    stop: () => ask(reach().stop()),
  };
}

/** The port to the tickets. The first digit of a ticket chooses its object, which gets only the digest of the ticket. */
function ticketsPort({ TICKETS }: Env): TicketsPort {
  const keeperOf = (ticket: string) => TICKETS.get(TICKETS.idFromName(ticket.slice(0, 1)));
  return {
    keep: async (ticket, principal, expiresAt, address) =>
      ask(keeperOf(ticket).keep(await hexDigest(ticket), principal, expiresAt, address)),
    take: async (ticket) => ask(keeperOf(ticket).take(await hexDigest(ticket))),
  };
}

/** Failures that are no bugs: full storage, and an object that is overloaded, moved or reset, as the runtime marks it. */
function refusalOf(failure: unknown): HubError | null {
  const { retryable, overloaded } = (failure ?? {}) as { retryable?: unknown; overloaded?: unknown };
  if (isStorageFull(failure)) {
    return storageFull();
  }
  if (retryable === true || overloaded === true) {
    return new HubError("hub_unreachable", "The hub of this channel cannot be reached at the moment.");
  }
  return null;
}
