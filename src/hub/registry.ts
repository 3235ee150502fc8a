import { Addresses } from "./addresses.ts";
import { Client, type ClientOptions, type ClientStream, type LeaveReason } from "./client.ts";
import type { Clock } from "./clock.ts";
import { count, type Counters } from "./counters.ts";
import { Departures } from "./departures.ts";
import { FilterPool, type FilterTerms } from "./filter.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Logger } from "./logger.ts";
import { closeFrame, retryDelayMs } from "./service-frames.ts";
import { StreamAges } from "./stream-ages.ts";
import type { ClientView } from "./views.ts";

/** What the registry needs from where it runs. */
export interface RegistryHost {
  readonly clock: Clock;
  readonly logger: Logger;
  random(): number;
}

/** Characters of a filter in the log: a client writes it. */
const LOGGED_FILTER_LENGTH = 200;

/** The clients of a hub: who is in, who has left and why, and who was sent away but lingers. */
export class Registry {
  readonly #settings: HubSettings;
  readonly #host: RegistryHost;
  readonly #counters: Counters;
  readonly #left: (client: Client) => void;
  readonly #clients = new Map<string, Client>();
  readonly #filters = new FilterPool();
  readonly #departures = new Departures();
  readonly #addresses = new Addresses();
  readonly #encoder = new TextEncoder();

  /** @param left hears of every client that is no longer in. */
  constructor(settings: HubSettings, host: RegistryHost, counters: Counters, left: (client: Client) => void) {
    this.#settings = settings;
    this.#host = host;
    this.#counters = counters;
    this.#left = left;
  }

  /** The registered clients, in the order of their connecting. */
  get clients(): ReadonlyMap<string, Client> {
    return this.#clients;
  }

  /** Streams that were ended, but whose peers have not taken the end. */
  get lingering(): number {
    return this.#departures.size;
  }

  /** Why there is no place for a client of this address; null: there is one. */
  fullBecause(address: string | null): "limit" | "address_limit" | null {
    const { maxConnections, maxConnectionsPerAddress } = this.#settings;
    if (maxConnectionsPerAddress > 0 && this.#addresses.streamsOf(address) >= maxConnectionsPerAddress) {
      return "address_limit";
    }
    return this.#clients.size < maxConnections ? null : "limit";
  }

  /** Whether one more may linger. While too many do, a client that does not read keeps its place. */
  get canLinger(): boolean {
    return this.lingering < this.#settings.maxConnections;
  }

  /** Registers a client. */
  add(
    stream: ClientStream,
    terms: FilterTerms,
    options: Pick<ClientOptions, "cursor" | "resumedFrom" | "address" | "tokenEndsAt">,
  ): Client {
    const { clock, random, logger } = this.#host;
    const now = clock.now();
    const client = new Client({
      ...options,
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(terms),
      stream,
      now,
      expiresAt: StreamAges.expiry(now, this.#settings.maxStreamAgeMs, random),
    });
    this.#clients.set(client.id, client);
    this.#addresses.came(client.address);
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
    this.#addresses.left(client.address);
    count(this.#counters.disconnects, reason);
    this.#host.logger("info", "client_disconnected", {
      client_id: client.id,
      reason,
      duration_ms: this.#host.clock.now() - client.connectedAt,
      events_sent: client.eventsSent,
    });
    this.#left(client);
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
      resumedFrom: client.resumedFrom,
      tokenEndsAt: Number.isFinite(client.tokenEndsAt) ? client.tokenEndsAt : null,
      terms: client.filter.terms,
      cursor: client.cursor,
      lag: head - client.cursor,
      eventsSent: client.eventsSent,
    }));
  }
}
