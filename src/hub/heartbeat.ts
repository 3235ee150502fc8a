import type { Broadcaster } from "./broadcaster.ts";
import type { Client } from "./client.ts";
import type { Counters } from "./counters.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Logger } from "./logger.ts";
import type { Registry } from "./registry.ts";
import { errorFrame, heartbeatFrame } from "./service-frames.ts";

const SLOW_MESSAGE = "This client has not taken its events in time. It can resume with its last event id.";

/** Keeps quiet streams alive, and finds the clients that are gone or stalled. Driven by the hub's alarm. */
export class Heartbeat {
  readonly #settings: HubSettings;
  readonly #registry: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #counters: Counters;
  readonly #logger: Logger;

  constructor(
    settings: HubSettings,
    registry: Registry,
    broadcaster: Broadcaster,
    counters: Counters,
    logger: Logger,
  ) {
    this.#settings = settings;
    this.#registry = registry;
    this.#broadcaster = broadcaster;
    this.#counters = counters;
    this.#logger = logger;
  }

  /** Sends one to whoever is idle and got no bytes for the interval. */
  beat(now: number): void {
    const clients = this.beatQuietSince(now - this.#settings.heartbeatIntervalMs);
    if (clients > 0) {
      this.#logger("debug", "heartbeat", { clients });
    }
  }

  /**
   * Sends one to whoever is idle and got no bytes since; with the cursor when the filter has hidden events.
   *
   * @param address only to clients of this one; null: to all.
   */
  beatQuietSince(quietSince: number, address: string | null = null): number {
    let beaten = 0;
    for (const client of this.#registry.clients.values()) {
      const isMeant = address === null || client.address === address;
      if (isMeant && client.pendingSince === null && client.writtenAt <= quietSince) {
        const hasHidden = client.cursor > client.toldCursor;
        client.toldCursor = client.cursor;
        this.#broadcaster.write(client, heartbeatFrame(hasHidden ? client.cursor : null));
        beaten++;
      }
    }
    this.#counters.heartbeats += beaten;
    return beaten;
  }

  /** Ends the streams of clients that did not take a write in time. */
  dropStalled(now: number): void {
    for (const client of this.#registry.clients.values()) {
      if (!this.#registry.canLinger) {
        return;
      }
      if (now >= this.#stalledAt(client)) {
        const { id: client_id, cursor, pendingSince } = client;
        const stalled_ms = now - (pendingSince ?? now);
        this.#logger("warn", "slow_client", { client_id, stalled_ms, cursor });
        this.#registry.end(client, "slow_client", errorFrame("slow_client", SLOW_MESSAGE, true));
      }
    }
  }

  /** When the next client is due for a heartbeat or counts as stalled, in ms since the epoch; Infinity: none is. */
  nextDue(now: number): number {
    let due = Number.POSITIVE_INFINITY;
    // Nobody can be dropped now: looking again at once would ring without end.
    const notBefore = this.#registry.canLinger ? 0 : now + this.#settings.heartbeatIntervalMs;
    for (const client of this.#registry.clients.values()) {
      const heartbeatAt = client.writtenAt + this.#settings.heartbeatIntervalMs;
      // Whose write is pending gets its next heartbeat only once it is taken, however late that is.
      if (client.pendingSince === null || heartbeatAt > now) {
        due = Math.min(due, heartbeatAt);
      }
      due = Math.min(due, Math.max(notBefore, this.#stalledAt(client)));
    }
    return due;
  }

  #stalledAt({ pendingSince }: Client): number {
    return (pendingSince ?? Number.POSITIVE_INFINITY) + this.#settings.connectionTimeoutMs;
  }
}
