import { Admission } from "./admission.ts";
import { Alarm } from "./alarm.ts";
import { Broadcaster } from "./broadcaster.ts";
import type { Client, ClientStream } from "./client.ts";
import type { Clock } from "./clock.ts";
import { Closing } from "./closing.ts";
import { createCounters, observeLatency, type Counters } from "./counters.ts";
import { DurableLog } from "./durable-log.ts";
import { HubError } from "./errors.ts";
import type { EventLog, NewEvent, Receipt } from "./event-log.ts";
import { createFilter, type FilterTerms } from "./filter.ts";
import { FrameFeed, type Page } from "./frame-feed.ts";
import { Heartbeat } from "./heartbeat.ts";
import { readHistory, type HistoryPage } from "./history.ts";
import type { HubSettings } from "./hub-settings.ts";
import { LogBudget } from "./log-budget.ts";
import type { Logger } from "./logger.ts";
import { Publishing } from "./publishing.ts";
import { Quota } from "./quota.ts";
import { Refusals } from "./refusals.ts";
import { Registry } from "./registry.ts";
import { Retention } from "./retention.ts";
import { openingFrames } from "./service-frames.ts";
import { startingPoint, type StartRequest } from "./starting-point.ts";
import { StreamAges } from "./stream-ages.ts";
import { Trimmer } from "./trimmer.ts";
import type { ClientView, Ended, HubHealth } from "./views.ts";

/** Who was not written to for so long is asked for a sign of life before anybody is refused. */
const QUIET_MS = 1_000;

/** How long a stop waits for peers to take the end of their streams. */
const STOP_WAIT_MS = 2_000;

/** What is told to whoever has used up its minute. */
const TOO_MANY_CONNECTS = "This address has asked for too many streams of this channel in the last minute.";

/** Characters of a client's own id that are kept: it may send any. */
const RESUMED_FROM_LENGTH = 64;

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

/** Which events somebody wants. */
interface ReadRequest {
  readonly terms: FilterTerms;
  readonly start: StartRequest;
}

/** A client that wants in. */
export interface ConnectRequest extends ReadRequest {
  /** Where it comes from, as a key that the limits per address count by; null: they do not apply. */
  readonly address: string | null;
  /** When the token that opened the stream ends, in ms since the epoch; null: never. */
  readonly endsAt: number | null;
}

/** A piece of the past that somebody wants to read. */
export interface HistoryRequest extends ReadRequest {
  /** Events at most. */
  readonly limit: number;
}

/** Orders, logs and delivers the events of one channel. Knows neither HTTP nor Cloudflare. */
export class Hub {
  readonly counters: Counters = createCounters();
  readonly #settings: HubSettings;
  readonly #host: HubHost;
  readonly #logBudget: LogBudget;
  readonly #retention: Retention;
  readonly #log: DurableLog;
  readonly #registry: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #heartbeat: Heartbeat;
  readonly #ages: StreamAges;
  readonly #admission: Admission;
  readonly #connects: Quota;
  readonly #refusedConnects: Refusals;
  readonly #publishing: Publishing;
  readonly #closing: Closing;
  readonly #alarm: Alarm;
  readonly #trimmer: Trimmer;

  constructor(settings: HubSettings, place: HubHost) {
    this.#logBudget = new LogBudget(place.logger, place.clock);
    const host = { ...place, logger: this.#logBudget.log };
    const { log, clock, logger } = host;
    const feed = new FrameFeed(log);
    this.#settings = settings;
    this.#host = host;
    this.#retention = new Retention(log, settings.retention);
    this.#log = new DurableLog(log, feed, this.#retention, clock);
    this.#registry = new Registry(settings, host, this.counters, (client) => {
      this.#broadcaster.forget(client);
      this.#ages.left();
      this.#admission.placeFreed();
    });
    this.#broadcaster = new Broadcaster(this.#registry.clients, feed, this.#log, clock, {
      wrote: (now) => this.#alarm.arm(now + settings.connectionTimeoutMs),
      taken: (client, page, now) => {
        this.#alarm.arm(client.writtenAt + settings.heartbeatIntervalMs);
        this.#countDelivered(page, now);
      },
      lost: (client) => this.#registry.leave(client, "client_left"),
      swept: (clients, head) => {
        this.counters.sweeps++;
        logger("debug", "broadcast", { clients, head });
      },
      gap: (client) => this.#countGap(client, "expired"),
      readFailed: (client, error) => {
        this.counters.readFailures++;
        logger("error", "log_read_failed", { client_id: client.id, error: String(error) });
      },
    });
    this.#heartbeat = new Heartbeat(settings, this.#registry, this.#broadcaster, this.counters, logger);
    this.#ages = new StreamAges(clock, this.#registry, this.#broadcaster, () => log.check());
    this.#admission = new Admission(
      {
        closedBecause: () => this.#closing.because,
        fullBecause: (address) => this.#registry.fullBecause(address),
        probe: (address) => this.#heartbeat.beatQuietSince(clock.now() - QUIET_MS, address) > 0,
      },
      clock,
    );
    this.#connects = new Quota(settings.maxConnectsPerMinutePerAddress, TOO_MANY_CONNECTS, clock);
    this.#refusedConnects = new Refusals("connect_refused", this.counters.rejections, clock, logger);
    this.#closing = new Closing(host);
    this.#publishing = new Publishing(settings.maxPublishesPerMinutePerToken, {
      log: this.#log,
      closing: this.#closing,
      counters: this.counters,
      clock,
      logger,
    });
    this.#alarm = new Alarm(settings.heartbeatIntervalMs, (at) => host.setAlarm(at));
    this.#trimmer = new Trimmer(log, this.#retention, clock, this.#alarm);
  }

  /** Takes over what an earlier life of this hub left behind: the alarm that is set, and a drain. */
  restore(kept: { readonly alarmAt: number | null; readonly drainUntil: number | null }): void {
    this.#alarm.restore(kept.alarmAt);
    this.#closing.restore(kept.drainUntil);
    // The configuration may have changed since: what was within the bounds need not be any more.
    this.#armTrimmer();
  }

  /**
   * Stores events and, once they are durable, delivers them. Answers only then.
   *
   * @param publisher the token that they come with, as a key to count by; null: it is not limited.
   * @throws HubError `shutting_down`, `rate_limited` or `storage_full`
   */
  async publish(events: readonly NewEvent[], publisher: string | null): Promise<Receipt[]> {
    const receipts = await this.#publishing.take(events, publisher);
    this.#broadcaster.wake();
    this.#armTrimmer();
    return receipts;
  }

  /**
   * Registers a client and starts its stream, once there is a place for it.
   *
   * @throws HubError `rate_limited`, `unauthorized`, `limit`, `address_limit`, `draining` or `shutting_down`
   */
  async connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    const { address, endsAt } = request;
    try {
      this.#connects.use(address);
      if (endsAt !== null && endsAt <= this.#host.clock.now()) {
        throw new HubError("unauthorized", "A valid token is needed: Authorization: Bearer <token>.");
      }
      // Whoever is refused for this writes nothing.
      this.#admission.refuseIfClosed();
      await this.#log.create();
      await this.#admission.enter(address, () => this.#register(request, stream));
    } catch (error) {
      this.#refusedConnects.note(error);
      throw error;
    }
  }

  /** What the alarm is for: heartbeats, stalled clients, trimming. Never throws; asks for the next alarm itself. */
  async tick(): Promise<void> {
    const { logger } = this.#host;
    this.#alarm.rung();
    this.#logBudget.flush();
    this.#connects.tidy();
    this.#publishing.tidy();
    try {
      this.#serveClients();
      const trimmed = await this.#trimmer.trim(() => this.#serveClients());
      if (trimmed > 0) {
        this.counters.trimmed += trimmed;
        logger("info", "log_trimmed", { events: trimmed });
      }
    } catch (error) {
      logger("error", "tick_failed", { error: String(error) });
    }
    this.#armNext();
    this.#armTrimmer();
  }

  /** Ends all streams and lets nobody in until a time. Publishing goes on. */
  drain(until: number): Ended {
    this.#closing.drain(until);
    this.#alarm.arm(until);
    this.#admission.closed();
    const closed = this.#registry.endAll("drain");
    this.#host.logger("info", "drain_started", { closed, until: new Date(until).toISOString() });
    return { closed, lingering: this.#registry.lingering };
  }

  /** Ends a drain. */
  resume(): void {
    this.#closing.resume();
  }

  /** Ends all streams for good, and lets nobody in. Answers at once; `settled` waits for the peers. */
  stop(): Ended {
    this.#closing.stop();
    this.#admission.closed();
    const closed = this.#registry.endAll("shutdown");
    this.#host.logger("info", "channel_closed", { closed });
    this.#logBudget.flush();
    return { closed, lingering: this.#registry.lingering };
  }

  /** Waits for the peers of a stop, but not long; from then on nothing is published. Answers how many linger. */
  async settled(): Promise<number> {
    await this.#registry.settled(STOP_WAIT_MS);
    this.#closing.complete();
    return this.#registry.lingering;
  }

  /** Ends one stream. False: no such client. */
  kick(clientId: string): boolean {
    const client = this.#registry.clients.get(clientId);
    if (client !== undefined) {
      this.#registry.end(client, "kicked");
    }
    return client !== undefined;
  }

  /** Reads the past as a stream would replay it. */
  history(request: HistoryRequest): HistoryPage {
    const { clock, log } = this.#host;
    const horizon = { head: this.#log.head(), oldest: this.#log.oldest() };
    const start = startingPoint(request.start, log, this.#retention, horizon.head, clock.now());
    return readHistory(log, start, horizon, createFilter(request.terms), request.limit);
  }

  clients(): ClientView[] {
    return this.#registry.views(this.#log.head());
  }

  health(): HubHealth {
    const reasons = [
      ...(this.#publishing.hasFailed ? ["storage_failed"] : []),
      ...(this.#registry.fullBecause(null) === null ? [] : ["limit_reached"]),
    ];
    const oldest = this.#log.oldest();
    const working = reasons.length > 0 ? "degraded" : "healthy";
    return {
      status: this.#closing.because === null ? working : "draining",
      reasons,
      drainUntil: this.#closing.drainUntil,
      activeConnections: this.#registry.clients.size,
      lingeringConnections: this.#registry.lingering,
      maxConnections: this.#settings.maxConnections,
      lastEventId: this.#log.head(),
      oldestEventId: oldest > this.#log.head() ? null : oldest,
    };
  }

  #register(request: ConnectRequest, stream: ClientStream): void {
    const { heartbeatIntervalMs, retryAfterMs, channel } = this.#settings;
    const { clock, log } = this.#host;
    const { start, terms, address } = request;
    const { cursor, gap } = startingPoint(start, log, this.#retention, this.#log.head(), clock.now());
    const resumedFrom = start.lastEventId?.slice(0, RESUMED_FROM_LENGTH) ?? null;
    const tokenEndsAt = request.endsAt ?? Number.POSITIVE_INFINITY;
    const client = this.#registry.add(stream, terms, { cursor, resumedFrom, address, tokenEndsAt });
    const opening = openingFrames({
      clientId: client.id,
      channel,
      cursor,
      logName: log.name ?? "",
      heartbeatIntervalSeconds: heartbeatIntervalMs / 1_000,
      retryMs: retryAfterMs,
      gap,
    });
    this.#broadcaster.write(client, opening + this.#ages.came(client));
    this.#alarm.arm(clock.now() + heartbeatIntervalMs);
    if (gap !== null) {
      this.#countGap(client, gap.reason);
    }
  }

  #serveClients(): void {
    const now = this.#host.clock.now();
    this.#closing.resumeIfOver(now);
    this.#heartbeat.dropStalled(now);
    this.#heartbeat.beat(now);
  }

  /** Asks for the next alarm: for a heartbeat, a stalled client or the end of a drain. */
  #armNext(): void {
    const due = Math.min(
      this.#heartbeat.nextDue(this.#host.clock.now()),
      this.#closing.drainUntil ?? Number.POSITIVE_INFINITY,
    );
    if (due !== Number.POSITIVE_INFINITY) {
      this.#alarm.arm(due);
    }
  }

  /** What is durable is durable, and an alarm has to go on, though the log cannot be read just now. */
  #armTrimmer(): void {
    try {
      this.#trimmer.arm();
    } catch (error) {
      this.#host.logger("error", "trim_not_armed", { error: String(error) });
    }
  }

  #countDelivered(page: Page | null, now: number): void {
    this.counters.pages += page === null ? 0 : 1;
    this.counters.deliveries += page?.events ?? 0;
    if (page !== null && page.publishedAt !== null) {
      const ms = Math.max(0, now - page.publishedAt);
      observeLatency(this.counters.latency, ms / 1_000);
    }
  }

  #countGap(client: Client, reason: string): void {
    this.counters.gaps++;
    this.#host.logger("info", "gap", { client_id: client.id, reason });
  }
}
