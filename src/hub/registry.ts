import { Client, type ClientOptions, type ClientStream, type LeaveReason } from "./client.ts";
import type { Clock } from "./clock.ts";
import { count, type Counters } from "./counters.ts";
import { Departures } from "./departures.ts";
import type { EventLog } from "./event-log.ts";
import { FilterPool, type FilterTerms } from "./filter.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Logger } from "./logger.ts";
import { closeFrame, retryDelayMs } from "./service-frames.ts";
import { StreamEnds } from "./stream-ends.ts";
import type { ClientView } from "./views.ts";

/** What the registry needs from where it runs. */
export interface RegistryHost {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  random(): number;
  /** Hears of every client that is no longer in. */
  left(client: Client): void;
  /** Tells a client without a pending write that its token ends. */
  warn(client: Client): void;
}

/** A client as it wants in. */
export type Entering = Pick<ClientOptions, "cursor" | "resumedFrom" | "address" | "tokenEndsAt">;

/** Characters of a filter in the log: a client writes it. */
const LOGGED_FILTER_LENGTH = 200;

/** The clients of a hub: who is in, who has left and why, and who was sent away but lingers. */
export class Registry {
  readonly #settings: HubSettings;
  readonly #host: RegistryHost;
  readonly #counters: Counters;
  readonly #clients = new Map<string, Client>();
  /** How many clients each address has, of those that are limited. */
  readonly #addresses = new Map<string, number>();
  readonly #filters = new FilterPool();
  readonly #departures = new Departures();
  readonly #ends: StreamEnds;
  readonly #encoder = new TextEncoder();

  constructor(settings: HubSettings, host: RegistryHost, counters: Counters) {
    this.#settings = settings;
    this.#host = host;
    this.#counters = counters;
    this.#ends = new StreamEnds(host.clock, this.#clients, {
      checkStorage: () => host.log.check(),
      warn: (client) => {
        if (client.pendingSince === null) {
          host.warn(client);
        }
      },
      end: (client, reason) => {
        // Nothing more may be sent to whose token has ended: its stream ends even if too many linger.
        if (reason === "token_expired" || client.pendingSince === null || this.canLinger) {
          this.end(client, reason);
        }
      },
    });
  }

  /** The registered clients, in the order of their connecting. */
  get clients(): ReadonlyMap<string, Client> {
    return this.#clients;
  }

  /** Streams that were ended, but whose peers have not taken the end. */
  get lingering(): number {
    return this.#departures.size;
  }

  get hasPlace(): boolean {
    return this.#clients.size < this.#settings.maxConnections;
  }

  /** Whether one more may linger. While too many do, a client that does not read keeps its place. */
  get canLinger(): boolean {
    return this.lingering < this.#settings.maxConnections;
  }

  /** Whether an address may have one more client. */
  hasPlaceFor(address: string | null): boolean {
    const most = this.#settings.maxConnectionsPerAddress;
    return address === null || most === 0 || (this.#addresses.get(address) ?? 0) < most;
  }

  /** Registers a client. */
  add(stream: ClientStream, terms: FilterTerms, options: Entering): Client {
    const { clock, random, logger } = this.#host;
    const now = clock.now();
    const client = new Client({
      ...options,
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(terms),
      stream,
      now,
      expiresAt: StreamEnds.expiry(now, this.#settings.maxStreamAgeMs, random),
    });
    this.#clients.set(client.id, client);
    this.#countAddress(client, 1);
    this.#ends.came(client);
    void stream.gone.then(() => this.leave(client, "client_left"));

    const { id: client_id, cursor, resumedFrom: last_event_id } = client;
    this.#counters.connects++;
    logger("info", "client_connected", {
      client_id,
      cursor,
      filter: client.filter.key.slice(0, LOGGED_FILTER_LENGTH),
    });
    if (last_event_id !== null) {
      this.#counters.reconnects++;
      logger("info", "client_reconnected", { client_id, last_event_id });
    }
    return client;
  }

  /** Takes a client out, whose stream is ending or has ended. False: it was not in. */
  leave(client: Client, reason: LeaveReason): boolean {
    if (!this.#clients.delete(client.id)) {
      return false;
    }
    this.#filters.release(client.filter);
    this.#countAddress(client, -1);
    this.#ends.left();
    count(this.#counters.disconnects, reason);
    this.#host.logger("info", "client_disconnected", {
      client_id: client.id,
      reason,
      duration_ms: this.#host.clock.now() - client.connectedAt,
      events_sent: client.eventsSent,
    });
    this.#host.left(client);
    return true;
  }

  /** Ends a client's stream: it is out at once, and is told why as soon as it reads. */
  end(client: Client, reason: Exclude<LeaveReason, "client_left">, before = ""): void {
    if (this.leave(client, reason)) {
      const retryMs = retryDelayMs(reason, this.#settings.retryAfterMs, this.#host.random);
      this.#departures.end(client.stream, this.#encoder.encode(before + closeFrame(reason, retryMs)));
    }
  }

  /** Ends all streams. Answers how many those were. */
  endAll(reason: "drain" | "shutdown"): number {
    const clients = [...this.#clients.values()];
    for (const client of clients) {
      this.end(client, reason);
    }
    return clients.length;
  }

  /** Waits until nobody lingers, but not longer than this. */
  settled(withinMs: number): Promise<void> {
    return this.#departures.settled(this.#host.clock, withinMs);
  }

  /** The clients as an operator sees them. */
  views(head: number): ClientView[] {
    return Array.from(this.#clients.values(), (client) => ({
      id: client.id,
      connectedAt: client.connectedAt,
      lastEventAt: client.lastEventAt,
      writtenAt: client.writtenAt,
      pendingSince: client.pendingSince,
      tokenEndsAt: client.tokenEndsAt,
      resumedFrom: client.resumedFrom,
      terms: client.filter.terms,
      cursor: client.cursor,
      lag: head - client.cursor,
      eventsSent: client.eventsSent,
    }));
  }

  #countAddress({ address }: Client, change: 1 | -1): void {
    if (address === null) {
      return;
    }
    const clients = (this.#addresses.get(address) ?? 0) + change;
    if (clients === 0) {
      this.#addresses.delete(address);
    } else {
      this.#addresses.set(address, clients);
    }
  }
}
