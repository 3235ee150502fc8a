import { RELAYS_PER_OBJECT } from "./attached-relays.ts";
import type { Client } from "./client.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { ClientView } from "../views.ts";
import { fixedSeats, type Seats } from "./seats.ts";
import { StreamCounts } from "./stream-counts.ts";

/** Which limit leaves no slot for a client. */
export type Full = "limit" | "address_limit";

/** The registered clients, and the limits on their number. */
export class Registry {
  readonly #settings: HubSettings;
  readonly #seats: Seats;
  readonly #clients = new Map<string, Client>();
  readonly #streamCounts = new StreamCounts();
  #relays = 0;

  constructor(settings: HubSettings, seats: Seats = fixedSeats(settings.maxConnections)) {
    this.#settings = settings;
    this.#seats = seats;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** The clients in the order in which they connected. A loop over them may remove clients, but must not add any. */
  [Symbol.iterator](): IterableIterator<Client> {
    return this.#clients.values();
  }

  get(clientId: string): Client | undefined {
    return this.#clients.get(clientId);
  }

  has(client: Client): boolean {
    return this.#clients.has(client.id);
  }

  /** How many clients take a seat: all but relays, whose clients have seats of their own. */
  get seated(): number {
    return this.#clients.size - this.#relays;
  }

  /** Which limit leaves no slot for a client of this address, or for a relay; null if there is a slot. */
  fullBecause(address: string | null, isRelay = false): Full | null {
    if (isRelay) {
      return this.#relays < RELAYS_PER_OBJECT ? null : "limit";
    }
    const { maxConnectionsPerAddress } = this.#settings;
    if (maxConnectionsPerAddress > 0 && this.#streamCounts.of(address) >= maxConnectionsPerAddress) {
      return "address_limit";
    }
    return this.seated < this.#seats.limit ? null : "limit";
  }

  add(client: Client): void {
    this.#clients.set(client.id, client);
    this.#relays += Number(client.isRelay);
    this.#streamCounts.add(client.address);
  }

  /** Returns false if the client was not registered. */
  remove(client: Client): boolean {
    if (!this.#clients.delete(client.id)) {
      return false;
    }
    this.#relays -= Number(client.isRelay);
    this.#streamCounts.remove(client.address);
    return true;
  }

  /** The clients as an operator sees them. */
  views(head: number): ClientView[] {
    return Array.from(this, (client) => ({
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
