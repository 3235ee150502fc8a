import type { Clock } from "../clock.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { AudienceRecord } from "./audience-record.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { Client } from "./client.ts";

/** How long a client must have been quiet to be probed before a connect is refused. */
const QUIET_MS = 1_000;

/** Keeps idle streams open, and finds the dead and the stalled ones. */
export class Heartbeat {
  readonly #settings: HubSettings;
  readonly #clock: Clock;
  readonly #clients: Iterable<Client>;
  readonly #broadcaster: Broadcaster;
  readonly #record: AudienceRecord;

  constructor(
    settings: HubSettings,
    clock: Clock,
    clients: Iterable<Client>,
    broadcaster: Broadcaster,
    record: AudienceRecord,
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.#clients = clients;
    this.#broadcaster = broadcaster;
    this.#record = record;
  }

  /** Sends a heartbeat to every client that is due for one. */
  beat(): void {
    this.#beat(this.#quietFor(this.#settings.heartbeatIntervalMs));
  }

  /**
   * Sends a heartbeat to the clients that have been quiet for a while, which shows which of them are dead.
   *
   * @param address probe only the clients of this address; null probes all.
   * @returns false if there was no client to probe
   */
  probe(address: string | null): boolean {
    const quiet = this.#quietFor(QUIET_MS);
    return this.#beat(quiet.filter((client) => address === null || client.address === address)) > 0;
  }

  /** The clients that did not accept their pending write in time. */
  stalled(): Client[] {
    const now = this.#clock.now();
    return Array.from(this.#clients).filter((client) => now >= this.#stalledAt(client));
  }

  /**
   * When the next client is due for a heartbeat or counts as stalled, in ms since the epoch; Infinity if none is.
   *
   * @param canDrop false while too many streams linger. A stalled client cannot be dropped then, and an alarm that is
   *   due at once would ring without end.
   */
  nextDue(canDrop: boolean): number {
    const now = this.#clock.now();
    const { heartbeatIntervalMs } = this.#settings;
    const dropFrom = canDrop ? 0 : now + heartbeatIntervalMs;
    let due = Number.POSITIVE_INFINITY;
    for (const client of this.#clients) {
      const heartbeatAt = client.writtenAt + heartbeatIntervalMs;
      // A client with a pending write gets its next heartbeat once it accepts the write, however late that is.
      if (client.pendingSince === null || heartbeatAt > now) {
        due = Math.min(due, heartbeatAt);
      }
      due = Math.min(due, Math.max(dropFrom, this.#stalledAt(client)));
    }
    return due;
  }

  /** The idle clients that were sent nothing for this long. */
  #quietFor(ms: number): Client[] {
    const since = this.#clock.now() - ms;
    return Array.from(this.#clients).filter(
      (client) => client.pendingSince === null && client.writtenAt <= since,
    );
  }

  /** Returns how many clients got a heartbeat. */
  #beat(clients: readonly Client[]): number {
    clients.forEach((client) => this.#broadcaster.beat(client));
    this.#record.beaten(clients.length);
    return clients.length;
  }

  #stalledAt({ pendingSince }: Client): number {
    return (pendingSince ?? Number.POSITIVE_INFINITY) + this.#settings.connectionTimeoutMs;
  }
}
