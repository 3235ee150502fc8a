import { Admission } from "./admission.ts";
import { Alarm } from "./alarm.ts";
import { Broadcaster } from "./broadcaster.ts";
import { Client, type ClientStream, type LeaveReason } from "./client.ts";
import type { Clock } from "./clock.ts";
import { count, createCounters, observeLatency, type Counters } from "./counters.ts";
import { Departures } from "./departures.ts";
import { DurableHead } from "./durable-head.ts";
import { HubError } from "./errors.ts";
import type { EventLog, NewEvent, Receipt } from "./event-log.ts";
import { FilterPool, type FilterTerms } from "./filter.ts";
import { FrameFeed } from "./frame-feed.ts";
import type { LogFields, Logger } from "./logger.ts";
import { Retention, type RetentionBounds } from "./retention.ts";
import { closeFrame, errorFrame, heartbeatFrame, openingFrames, retryDelayMs } from "./service-frames.ts";
import { StreamAges } from "./stream-ages.ts";
import { Trimmer } from "./trimmer.ts";
import { startingPoint, type StartRequest } from "./starting-point.ts";

/** Who was not written to for so long is asked for a sign of life before anybody is refused. */
const QUIET_MS = 1_000;

/** How long a stop waits for peers to take the end of their streams. */
const STOP_WAIT_MS = 2_000;

/** The numbers that rule a hub. */
export interface HubSettings {
  readonly channel: string;
  readonly heartbeatIntervalMs: number;
  readonly maxConnections: number;
  readonly connectionTimeoutMs: number;
  readonly retryAfterMs: number;
  /** 0: streams do not age. */
  readonly maxStreamAgeMs: number;
  readonly retention: RetentionBounds;
}

/** What a hub needs from where it runs. */
export interface HubHost {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  random(): number;
  /** Calls `tick` at this time. One alarm at a time; the hub asks only for an earlier one than it has. */
  setAlarm(at: number): void;
  /** Keeps until when the channel is drained, across restarts of the object; null: not at all. */
  saveDrain(until: number | null): void;
}

/** A client that wants in. */
export interface ConnectRequest {
  readonly terms: FilterTerms;
  readonly start: StartRequest;
}

/** One client as the operator sees it. */
export interface ClientView {
  readonly id: string;
  readonly connectedAt: number;
  readonly lastEventAt: number | null;
  readonly writtenAt: number;
  readonly pendingSince: number | null;
  readonly resumedFrom: string | null;
  readonly terms: FilterTerms;
  readonly cursor: number;
  readonly lag: number;
  readonly eventsSent: number;
}

/** The state of a channel. */
export interface HubHealth {
  readonly status: "healthy" | "degraded" | "draining";
  readonly reasons: readonly string[];
  readonly activeConnections: number;
  readonly lingeringConnections: number;
  readonly maxConnections: number;
  readonly lastEventId: number;
  readonly oldestEventId: number | null;
}

/** What ending all streams came to. */
export interface Ended {
  readonly closed: number;
  readonly lingering: number;
}

/** Orders, logs and delivers the events of one channel. Knows neither HTTP nor Cloudflare. */
export class Hub {
  readonly counters: Counters = createCounters();
  readonly #settings: HubSettings;
  readonly #host: HubHost;
  readonly #log: EventLog;
  readonly #head: DurableHead;
  readonly #retention: Retention;
  readonly #feed: FrameFeed;
  readonly #filters = new FilterPool();
  readonly #broadcaster: Broadcaster;
  readonly #admission: Admission;
  readonly #departures = new Departures();
  readonly #alarm: Alarm;
  readonly #trimmer: Trimmer;
  readonly #ages: StreamAges;
  readonly #encoder = new TextEncoder();

  #drainUntil: number | null = null;
  #stopping: "no" | "closing" | "closed" = "no";
  #storageFailedAt: number | null = null;

  constructor(settings: HubSettings, host: HubHost) {
    this.#settings = settings;
    this.#host = host;
    this.#log = host.log;
    this.#head = new DurableHead(host.log);
    this.#retention = new Retention(host.log, settings.retention);
    this.#feed = new FrameFeed(host.log);
    this.#feed.forget(host.log.head + 1);
    this.#broadcaster = new Broadcaster(
      this.#feed,
      { head: () => this.#head.seq, oldest: () => this.#retention.oldest(host.clock.now()) },
      host.clock,
      {
        delivered: (_client, page) => {
          this.counters.pages++;
          this.counters.deliveries += page.events;
          observeLatency(this.counters.latency, (host.clock.now() - page.publishedAt) / 1_000);
        },
        wrote: () => this.#alarm.arm(host.clock.now() + settings.connectionTimeoutMs),
        lost: (client) => this.#leave(client, "client_left"),
        swept: (clients, head) => {
          this.counters.sweeps++;
          host.logger("debug", "broadcast", { clients, head });
        },
        gap: (client) => {
          this.counters.gaps++;
          host.logger("info", "gap", { client_id: client.id, reason: "expired" });
        },
        readFailed: (client, error) => {
          this.counters.readFailures++;
          host.logger("error", "log_read_failed", { client_id: client.id, error: String(error) });
        },
      },
    );
    this.#admission = new Admission(
      {
        closedBecause: () =>
          this.#stopping === "no" ? (this.isDraining ? "draining" : null) : "shutting_down",
        hasPlace: () => this.#hasPlace(),
        probe: () => this.#beat((client) => client.writtenAt <= host.clock.now() - QUIET_MS) > 0,
      },
      host.clock,
      host.logger,
    );
    this.#alarm = new Alarm(settings.heartbeatIntervalMs, (at) => host.setAlarm(at));
    this.#trimmer = new Trimmer(host.log, this.#retention, host.clock, this.#alarm);
    this.#ages = new StreamAges(host.clock, this.#broadcaster.clients, (client) =>
      this.#end(client, "max_age"),
    );
  }

  /** Takes over what an earlier life of this hub left behind: the alarm that is set, and a drain. */
  restore(kept: { readonly alarmAt: number | null; readonly drainUntil: number | null }): void {
    this.#alarm.restore(kept.alarmAt);
    this.#drainUntil = kept.drainUntil;
  }

  /** Stores events and, once they are durable, delivers them. Answers only then. */
  async publish(events: readonly NewEvent[]): Promise<Receipt[]> {
    if (this.#stopping === "closed") {
      throw new HubError("shutting_down", "The service is shutting down.");
    }
    const { clock } = this.#host;
    const receipts = this.#append(events, clock.now());
    await this.#head.advance();
    this.#broadcaster.wake();
    this.#trimmer.arm();
    return receipts;
  }

  /**
   * Registers a client and starts its stream, once there is a place for it.
   *
   * @throws HubError `limit`, `draining` or `shutting_down`
   */
  async connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    if (this.#log.name === null) {
      this.#log.create();
      await this.#head.advance();
    }
    try {
      await this.#admission.enter();
    } catch (error) {
      if (error instanceof HubError) {
        count(this.counters.rejections, error.code);
      }
      throw error;
    }
    // Nothing waits between the admission and the registration: so the limit is exact.
    this.#register(request, stream);
  }

  /** What the alarm is for: heartbeats, stalled clients, trimming. Never throws; asks for the next alarm itself. */
  async tick(): Promise<void> {
    this.#alarm.rung();
    try {
      const now = this.#host.clock.now();
      this.#endDrainWhenDue(now);
      this.#dropStalled(now);
      const beaten = this.#beat((client) => client.writtenAt <= now - this.#settings.heartbeatIntervalMs);
      if (beaten > 0) {
        this.#host.logger("debug", "heartbeat", { clients: beaten });
      }
      const trimmed = await this.#trimmer.trim();
      if (trimmed > 0) {
        this.counters.trimmed += trimmed;
        this.#host.logger("info", "log_trimmed", { events: trimmed, oldest: this.#log.oldest });
      }
    } catch (error) {
      this.#host.logger("error", "tick_failed", { error: String(error) });
    } finally {
      this.#armForClients();
      this.#trimmer.arm();
    }
  }

  get isDraining(): boolean {
    return this.#drainUntil !== null && this.#host.clock.now() < this.#drainUntil;
  }

  /** Ends all streams and lets nobody in until a time. Publishing goes on. */
  drain(until: number): Ended {
    this.#drainUntil = until;
    this.#host.saveDrain(until);
    this.#alarm.arm(until);
    this.#admission.closed();
    const closed = this.#endAll("drain");
    this.#host.logger("info", "drain_started", { closed, until: new Date(until).toISOString() });
    return { closed, lingering: this.#departures.size };
  }

  /** Ends a drain before its time. */
  resume(): void {
    if (this.#drainUntil !== null) {
      this.#drainUntil = null;
      this.#host.saveDrain(null);
      this.#host.logger("info", "drain_ended");
    }
  }

  /** Ends all streams for good: nobody is let in, and once they are closed nothing is published. */
  async stop(): Promise<Ended> {
    this.#stopping = this.#stopping === "no" ? "closing" : this.#stopping;
    this.#admission.closed();
    const closed = this.#endAll("shutdown");
    await this.#departures.settled(this.#host.clock, STOP_WAIT_MS);
    this.#stopping = "closed";
    const lingering = this.#departures.size;
    this.#host.logger("info", "channel_closed", { closed, lingering });
    return { closed, lingering };
  }

  /** Ends one stream. False: no such client. */
  kick(clientId: string): boolean {
    const client = this.#broadcaster.clients.get(clientId);
    if (client !== undefined) {
      this.#end(client, "kicked");
    }
    return client !== undefined;
  }

  health(): HubHealth {
    const { maxConnections } = this.#settings;
    const reasons: string[] = [];
    if (this.#storageFailedAt !== null) {
      reasons.push("storage_failed");
    }
    if (!this.#hasPlace()) {
      reasons.push("limit_reached");
    }
    const oldest = this.#retention.oldest(this.#host.clock.now());
    const closed = this.isDraining || this.#stopping !== "no";
    return {
      status: closed ? "draining" : reasons.length > 0 ? "degraded" : "healthy",
      reasons,
      activeConnections: this.#broadcaster.clients.size,
      lingeringConnections: this.#departures.size,
      maxConnections,
      lastEventId: this.#head.seq,
      oldestEventId: oldest > this.#head.seq ? null : oldest,
    };
  }

  clients(): ClientView[] {
    return Array.from(this.#broadcaster.clients.values(), (client) => ({
      id: client.id,
      connectedAt: client.connectedAt,
      lastEventAt: client.lastEventAt,
      writtenAt: client.writtenAt,
      pendingSince: client.pendingSince,
      resumedFrom: client.resumedFrom,
      terms: client.filter.terms,
      cursor: client.cursor,
      lag: this.#head.seq - client.cursor,
      eventsSent: client.eventsSent,
    }));
  }

  #append(events: readonly NewEvent[], now: number): Receipt[] {
    try {
      const before = this.#log.head;
      const receipts = this.#log.append(events, now, this.#retention.oldest(now));
      const { publishedAt } = this.#log.stamp(this.#log.head);
      let seq = before;
      receipts.forEach((receipt, index) => {
        const event = events[index];
        if (event !== undefined && receipt.seq > seq) {
          seq = receipt.seq;
          const { type, projectId, agentId, data } = event;
          this.#feed.push({ seq, type, projectId, agentId, data, publishedAt });
        }
      });
      this.counters.published += seq - before;
      this.counters.duplicates += events.length - (seq - before);
      this.#storageFailedAt = null;
      return receipts;
    } catch (error) {
      this.#storageFailedAt = now;
      this.#host.logger("error", "append_failed", { events: events.length, error: String(error) });
      throw error;
    }
  }

  #register(request: ConnectRequest, stream: ClientStream): void {
    const { heartbeatIntervalMs, maxStreamAgeMs, retryAfterMs, channel } = this.#settings;
    const { random, clock, logger } = this.#host;
    const now = clock.now();
    const { cursor, gap } = startingPoint(request.start, this.#log, this.#retention, this.#head.seq, now);
    const client = new Client({
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(request.terms),
      stream,
      now,
      cursor,
      resumedFrom: request.start.lastEventId,
      expiresAt: StreamAges.expiry(now, maxStreamAgeMs, random),
    });
    const opening = openingFrames({
      clientId: client.id,
      channel,
      cursor,
      logName: this.#log.name ?? "",
      heartbeatIntervalSeconds: heartbeatIntervalMs / 1_000,
      retryMs: retryAfterMs,
      gap,
    });
    this.#broadcaster.add(client, opening);
    void stream.gone.then(() => this.#leave(client, "client_left"));

    this.counters.connects++;
    logger("info", "client_connected", { client_id: client.id, cursor, ...logged(request.terms) });
    if (client.resumedFrom !== null) {
      this.counters.reconnects++;
      logger("info", "client_reconnected", {
        client_id: client.id,
        last_event_id: gap?.requestedId.slice(0, 64) ?? client.resumedFrom,
      });
    }
    if (gap !== null) {
      this.counters.gaps++;
      logger("info", "gap", { client_id: client.id, reason: gap.reason });
    }
    this.#alarm.arm(now + heartbeatIntervalMs);
    this.#ages.came(client);
  }

  #hasPlace(): boolean {
    const active = this.#broadcaster.clients.size;
    const { maxConnections } = this.#settings;
    return active < maxConnections && active + this.#departures.size < 2 * maxConnections;
  }

  /** Sends a heartbeat to the idle clients that are chosen; with the cursor when the filter has hidden events. */
  #beat(isChosen: (client: Client) => boolean): number {
    let beaten = 0;
    for (const client of this.#broadcaster.clients.values()) {
      if (client.pendingSince === null && isChosen(client)) {
        const hidden = client.cursor > client.toldCursor;
        client.toldCursor = client.cursor;
        this.#broadcaster.write(client, heartbeatFrame(hidden ? client.cursor : null));
        beaten++;
      }
    }
    this.counters.heartbeats += beaten;
    return beaten;
  }

  #dropStalled(now: number): void {
    for (const client of this.#broadcaster.clients.values()) {
      if (client.pendingSince !== null && now - client.pendingSince >= this.#settings.connectionTimeoutMs) {
        this.#host.logger("warn", "slow_client", {
          client_id: client.id,
          stalled_ms: now - client.pendingSince,
          lag: this.#head.seq - client.cursor,
        });
        const message = "This client has not taken its events in time. It can resume with its last event id.";
        this.#end(client, "slow_client", errorFrame("slow_client", message, true));
      }
    }
  }

  #endDrainWhenDue(now: number): void {
    if (this.#drainUntil !== null && now >= this.#drainUntil) {
      this.resume();
    }
  }

  #endAll(reason: "drain" | "shutdown"): number {
    const clients = [...this.#broadcaster.clients.values()];
    for (const client of clients) {
      this.#end(client, reason);
    }
    return clients.length;
  }

  #end(client: Client, reason: Exclude<LeaveReason, "client_left">, before = ""): void {
    if (this.#leave(client, reason)) {
      const retryMs = retryDelayMs(reason, this.#settings.retryAfterMs, this.#host.random);
      const last = this.#encoder.encode(before + closeFrame(reason, retryMs));
      this.#departures.end(client.stream, last);
    }
  }

  #leave(client: Client, reason: LeaveReason): boolean {
    if (!this.#broadcaster.remove(client)) {
      return false;
    }
    this.#filters.release(client.filter);
    count(this.counters.disconnects, reason);
    this.#host.logger("info", "client_disconnected", {
      client_id: client.id,
      reason,
      duration_ms: this.#host.clock.now() - client.connectedAt,
      events_sent: client.eventsSent,
      lag: this.#head.seq - client.cursor,
    });
    this.#ages.left();
    this.#admission.placeFreed();
    return true;
  }

  #armForClients(): void {
    const { connectionTimeoutMs, heartbeatIntervalMs } = this.#settings;
    const due = Array.from(this.#broadcaster.clients.values(), ({ pendingSince, writtenAt }) =>
      pendingSince === null ? writtenAt + heartbeatIntervalMs : pendingSince + connectionTimeoutMs,
    );
    if (due.length > 0) {
      this.#alarm.arm(Math.min(...due));
    }
  }
}

function logged(terms: FilterTerms): LogFields {
  return { types: terms.types, project_ids: terms.projectIds, agent_ids: terms.agentIds };
}
