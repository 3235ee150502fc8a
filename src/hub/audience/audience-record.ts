import { count, observeLatency, type Counters } from "../counters.ts";
import type { Gap, Page } from "../log/log-view.ts";
import type { Logger } from "../logger.ts";
import type { BroadcastRecord } from "./broadcast-observer.ts";
import type { Client, LeaveReason } from "./client.ts";

/** The longest filter in a log line, in characters: a client chooses its filter. */
const LOGGED_FILTER_LENGTH = 200;

/** Counts and logs what happens to the clients. */
export class AudienceRecord implements BroadcastRecord {
  readonly #counters: Counters;
  readonly #logger: Logger;

  constructor(counters: Counters, logger: Logger) {
    this.#counters = counters;
    this.#logger = logger;
  }

  connected(client: Client): void {
    const { id: client_id, cursor, resumedFrom: last_event_id } = client;
    const filter = client.filter.key.slice(0, LOGGED_FILTER_LENGTH);
    this.#counters.connects++;
    this.#logger("info", "client_connected", { client_id, cursor, filter });
    if (last_event_id !== null) {
      this.#counters.reconnects++;
      this.#logger("info", "client_reconnected", { client_id, last_event_id });
    }
  }

  left(client: Client, reason: LeaveReason, now: number): void {
    count(this.#counters.disconnects, reason);
    this.#logger("info", "client_disconnected", {
      client_id: client.id,
      reason,
      duration_ms: now - client.connectedAt,
      events_sent: client.eventsSent,
    });
  }

  stalled({ id: client_id, cursor, pendingSince }: Client, now: number): void {
    const stalled_ms = now - (pendingSince ?? now);
    this.#logger("warn", "slow_client", { client_id, stalled_ms, cursor });
  }

  accepted(page: Page, now: number): void {
    this.#counters.pages++;
    this.#counters.deliveries += page.events;
    if (page.publishedAt !== null) {
      observeLatency(this.#counters.latency, Math.max(0, now - page.publishedAt) / 1_000);
    }
  }

  swept(clients: number, head: number): void {
    this.#counters.sweeps++;
    this.#logger("debug", "broadcast", { clients, head });
  }

  beaten(clients: number): void {
    this.#counters.heartbeats += clients;
    if (clients > 0) {
      this.#logger("debug", "heartbeat", { clients });
    }
  }

  gap(client: Client, { reason }: Gap): void {
    this.#counters.gaps++;
    this.#logger("info", "gap", { client_id: client.id, reason });
  }

  readFailed(client: Client, error: unknown): void {
    this.#counters.readFailures++;
    this.#logger("error", "log_read_failed", { client_id: client.id, error: String(error) });
  }
}
