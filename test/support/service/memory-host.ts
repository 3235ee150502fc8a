import { setImmediate as everythingElse } from "node:timers/promises";

import { configSchema, type Config } from "../../../src/config/schema.ts";
import { TransformClientStream } from "../../../src/edge/client-stream.ts";
import { closedRefusal } from "../../../src/hub/closing.ts";
import { OpenStreams } from "../../../src/hub/audience/open-streams.ts";
import { clientList } from "../../../src/hub/client-list.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { MemoryEventLog } from "../../../src/hub/log/event-log.ts";
import type { LogFields, LogLevel } from "../../../src/hub/logger.ts";
import type { Principal } from "../../../src/service/access/principal.ts";
import type {
  DirectoryPort,
  Host,
  HubPort,
  Knowledge,
  RateLimiter,
  Secrets,
  TicketsPort,
} from "../../../src/service/host.ts";
import { settingsOf } from "../../../src/service/hub-settings.ts";
import { STREAM_HEADERS } from "../../../src/service/response/stream-headers.ts";
import { FakeClock } from "../hub/fake-clock.ts";

/** The options of the host for a test. */
export interface MemoryHostOptions {
  /** Sections and keys as in config.yaml. Missing ones have their defaults. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly secrets?: Secrets;
  readonly launcherToken?: string;
  readonly listenHost?: string;
  readonly rate?: RateLimiter;
}

/** A clock that a test moves. Only turns, which take no time, come by themselves. */
class TurningClock extends FakeClock {
  override async turn(): Promise<void> {
    await everythingElse();
  }
}

/** A host in memory: real hubs with logs in memory, maps for the directory and the tickets, and a clock that a test moves. */
export class MemoryHost implements Host {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly launcherToken: string | undefined;
  readonly listenHost: string | undefined;
  readonly rate: RateLimiter | undefined;
  readonly clock = new TurningClock();
  readonly directory = new MemoryDirectory();
  readonly tickets: TicketsPort & { readonly kept: ReadonlyMap<string, unknown> };
  readonly lines: { level: LogLevel; event: string; fields: LogFields }[] = [];
  /** The hubs that exist. Reading a channel must not create one. */
  readonly openStreams = new OpenStreams();
  readonly existing = new Map<string, Hub>();
  /** How many calls the hubs have had. */
  calls = 0;
  /** The error that the hub of a channel throws at every call. */
  readonly broken = new Map<string, Error>();
  /** The address of the peer. */
  peer: string | null = "198.51.100.1";

  constructor({ config = {}, secrets, launcherToken, listenHost, rate }: MemoryHostOptions = {}) {
    this.config = configSchema.parse(config);
    this.secrets = secrets ?? { PUBLISH_TOKEN: "publish", ADMIN_TOKEN: "admin" };
    this.launcherToken = launcherToken;
    this.listenHost = listenHost;
    this.rate = rate;
    this.tickets = memoryTickets(() => this.clock.now());
  }

  readonly hubs = { of: (channel: string): HubPort => this.#port(channel) };

  readonly logger = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    this.lines.push({ level, event, fields });
  };

  async asset(request: Request): Promise<Response> {
    const isThere = new URL(request.url).pathname === "/";
    return new Response(isThere && request.method === "GET" ? "the page" : null, {
      status: isThere ? 200 : 404,
    });
  }

  peerOf(): string | null {
    return this.peer;
  }

  regionOf(): string {
    return "local";
  }

  keepAlive(): void {}

  refusalOf(): null {
    return null;
  }

  #port(channel: string): HubPort {
    const ask = async <Value>(work: (hub: Hub) => Value | Promise<Value>): Promise<Value> => {
      this.calls++;
      const failure = this.broken.get(channel);
      if (failure !== undefined) {
        throw failure;
      }
      return work(this.#hub(channel));
    };
    return {
      connect: (request) =>
        ask(async (hub) => {
          const stream = new TransformClientStream(new AbortController().signal);
          await hub.connect(request, stream);
          return new Response(stream.readable, { headers: STREAM_HEADERS });
        }),
      publish: (events, publisher, grant) => ask((hub) => hub.publish(events, publisher, grant)),
      history: (request) => ask((hub) => hub.history(request)),
      health: () => ask((hub) => hub.health()),
      findDead: () => ask((hub) => hub.findDead()),
      counters: () => ask((hub) => hub.counts()),
      clients: (page) => ask((hub) => clientList(hub.clients(), page)),
      kick: (clientId) => ask((hub) => hub.kick(clientId)),
      drain: (until) => ask((hub) => hub.drain(until)),
      resume: () => ask((hub) => hub.resume()),
      stop: () => ask((hub) => hub.stop()),
      settled: () => ask((hub) => hub.settled()),
    };
  }

  #hub(channel: string): Hub {
    const hub = this.existing.get(channel) ?? this.#create(channel);
    this.existing.set(channel, hub);
    return hub;
  }

  #create(channel: string): Hub {
    return new Hub(settingsOf(this.config, channel), {
      log: new MemoryEventLog(),
      clock: this.clock,
      logger: this.logger,
      random: () => 0.5,
      openStreams: this.openStreams,
      setAlarm: () => {},
      saveDrain: () => {},
      beforeFirstClient: async () => this.directory.occupy(channel),
    });
  }
}

/** A directory without limits, which never forgets a channel. */
class MemoryDirectory implements DirectoryPort {
  readonly known = new Set<string>();
  readonly #occupied = new Set<string>();
  readonly #drained = new Map<string, number>();
  #drainAll: number | null = null;
  #epoch = 0;
  #isStopping = false;
  /** The error that every call throws; null for none. */
  failure: Error | null = null;

  occupy(channel: string): void {
    this.#occupied.add(channel);
  }

  async look(channel: string): Promise<Knowledge> {
    this.#check();
    const drainUntil = this.#drained.get(channel) ?? this.#drainAll;
    return { isKnown: this.known.has(channel), epoch: this.#epoch, drainUntil };
  }

  async enter(channel: string): Promise<void> {
    this.#check();
    if (this.#isStopping && !this.known.has(channel)) {
      throw closedRefusal("shutting_down");
    }
    this.known.add(channel);
  }

  async occupied(after = ""): Promise<readonly string[]> {
    this.#check();
    return [...this.#occupied].filter((name) => name > after).toSorted();
  }

  async active(limit: number): Promise<{ channels: string[]; total: number }> {
    this.#check();
    return { channels: [...this.known].slice(0, limit), total: this.known.size };
  }

  async drainAll(until: number): Promise<number> {
    this.#drainAll = until;
    this.#occupied.forEach((channel) => this.#drained.set(channel, until));
    return ++this.#epoch;
  }

  async resumeAll(): Promise<number> {
    this.#drainAll = null;
    return ++this.#epoch;
  }

  async drained(after = ""): Promise<readonly string[]> {
    return [...this.#drained.keys()].filter((name) => name > after).toSorted();
  }

  async resumed(channel: string): Promise<void> {
    this.#drained.delete(channel);
  }

  drain(channel: string, until: number): Promise<Knowledge> {
    this.#drained.set(channel, until);
    this.#epoch++;
    return this.look(channel);
  }

  resume(channel: string): Promise<Knowledge> {
    this.#drained.delete(channel);
    this.#epoch++;
    return this.look(channel);
  }

  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    return this.occupied();
  }

  #check(): void {
    if (this.failure !== null) {
      throw this.failure;
    }
  }
}

/** Tickets in a map, which has room for 20. */
function memoryTickets(now: () => number): MemoryHost["tickets"] {
  const kept = new Map<string, { principal: Principal; expiresAt: number }>();
  return {
    kept,
    keep: async (ticket, principal, expiresAt) => {
      if (kept.size >= 20) {
        return false;
      }
      kept.set(ticket, { principal, expiresAt });
      return true;
    },
    take: async (ticket) => {
      const found = kept.get(ticket);
      kept.delete(ticket);
      return found !== undefined && found.expiresAt > now() ? found.principal : null;
    },
  };
}
