import type { Client } from "./client.ts";

/** The most relays that one object serves. */
export const RELAYS_PER_OBJECT = 50;

/** A relay as its hub's audience knows it. */
export interface RelayLife {
  /** Its name within the channel. */
  readonly name: string;
  /** A random name of this life of the relay. A relay that is started again has another one. */
  readonly life: string;
}

/** The clients that are relays. There is at most one for each name. */
export class AttachedRelays {
  readonly #clients = new Map<string, Client>();
  readonly #relays = new Map<Client, RelayLife>();

  /** The client of a relay, whatever its life. */
  clientOf(name: string): Client | undefined {
    return this.#clients.get(name);
  }

  /** The life of a relay that is attached; null if none is. */
  lifeOf(name: string): string | null {
    const client = this.#clients.get(name);
    return client === undefined ? null : (this.#relays.get(client)?.life ?? null);
  }

  add(relay: RelayLife, client: Client): void {
    this.#clients.set(relay.name, client);
    this.#relays.set(client, relay);
  }

  /** Returns the relay that the client was; null if it was none. */
  remove(client: Client): RelayLife | null {
    const relay = this.#relays.get(client);
    if (relay === undefined) {
      return null;
    }
    this.#relays.delete(client);
    this.#clients.delete(relay.name);
    return relay;
  }
}
