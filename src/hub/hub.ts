import { Alarm } from "./alarm.ts";
import { Audience, type ConnectRequest } from "./audience/audience.ts";
import type { ClientStream } from "./audience/client.ts";
import type { Clock } from "./clock.ts";
import { Closing } from "./closing.ts";
import { createCounters, type Counters } from "./counters.ts";
import type { FilterTerms } from "./filter.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { EventLog, NewEvent, Receipt } from "./log/event-log.ts";
import type { HistoryPage } from "./log/history.ts";
import { Ledger, type HistoryRequest } from "./log/ledger.ts";
import { LogBudget } from "./log-budget.ts";
import type { Logger } from "./logger.ts";
import type { ClientView, Ended, HubHealth } from "./views.ts";

/** What a hub needs from where it runs. */
export interface HubHost {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  random(): number;
  /** Calls `tick` at this time. There is one alarm at a time, and the hub asks only for an earlier one than it has. */
  setAlarm(at: number): void;
  /** Keeps until when the channel is drained, across restarts of the object; null ends the drain. */
  saveDrain(until: number | null): void;
  /**
   * Makes known that the channel is about to have a client, so that a drain or a stop of all channels reaches it, and
   * applies one that is in force. Called only while the channel has none.
   *
   * @throws HubError if the channel does not exist yet and must not be created
   */
  beforeFirstClient(address: string | null): Promise<void>;
}

/** Orders, logs and delivers the events of one channel: a ledger and its audience. Knows neither HTTP nor Cloudflare. */
export class Hub {
  readonly counters: Counters = createCounters();
  readonly #settings: HubSettings;
  readonly #host: HubHost;
  readonly #logBudget: LogBudget;
  readonly #alarm: Alarm;
  readonly #closing: Closing;
  readonly #ledger: Ledger;
  readonly #audience: Audience;

  constructor(settings: HubSettings, place: HubHost) {
    this.#logBudget = new LogBudget(place.logger, place.clock);
    const host = { ...place, logger: this.#logBudget.log };
    const { log, clock, logger, random } = host;
    const { counters } = this;
    const alarm = new Alarm(settings.heartbeatIntervalMs, (at) => host.setAlarm(at));
    const closing = new Closing(host);
    this.#settings = settings;
    this.#host = host;
    this.#alarm = alarm;
    this.#closing = closing;
    this.#ledger = new Ledger(settings, { log, clock, logger, counters, alarm, closing });
    this.#audience = new Audience(settings, {
      view: this.#ledger.view,
      clock,
      logger,
      counters,
      alarm,
      closing,
      random,
      beforeFirstClient: (address) => host.beforeFirstClient(address),
    });
  }

  /** Whether no client is registered. */
  get isEmpty(): boolean {
    return this.#audience.size === 0;
  }

  /** Takes over what an earlier life of this hub left behind: the alarm that is set, and a drain. */
  restore(kept: { readonly alarmAt: number | null; readonly drainUntil: number | null }): void {
    this.#alarm.restore(kept.alarmAt);
    this.#closing.restore(kept.drainUntil);
    // The configuration may have changed, so that the log is over its bounds without a publish.
    this.#ledger.armTrimming();
  }

  /**
   * Stores events and, once they are durable, delivers them. Resolves then.
   *
   * @param publisher the token that they came with, as a key to count by; null if it is not limited.
   * @param grant what that token grants, which bounds what it learns of events that were stored under its keys
   * @throws HubError `shutting_down`, `rate_limited`, `key_taken` or `storage_full`
   */
  publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms = {},
  ): Promise<Receipt[]> {
    return this.#ledger.publish(events, publisher, grant);
  }

  /**
   * Registers a client and starts its stream, as soon as there is a slot for it.
   *
   * @throws HubError `rate_limited`, `token_ended`, `limit`, `address_limit`, `draining` or `shutting_down`, and what
   * `beforeFirstClient` throws
   */
  connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    return this.#audience.connect(request, stream);
  }

  /**
   * Reads the past as a stream would replay it, when the turn of the request's address has come.
   *
   * @throws HubError `busy`
   */
  history(request: HistoryRequest): Promise<HistoryPage> {
    return this.#ledger.history(request);
  }

  /** What the alarm is for: heartbeats, stalled clients, trimming. Never throws, and sets the next alarm itself. */
  async tick(): Promise<void> {
    this.#alarm.rung();
    this.#logBudget.flush();
    try {
      this.#serveClients();
      await this.#ledger.trim(() => this.#serveClients());
    } catch (error) {
      this.#host.logger("error", "tick_failed", { error: String(error) });
    }
    this.#alarm.arm(Math.min(this.#audience.nextDue(), this.#closing.drainUntil ?? Number.POSITIVE_INFINITY));
    this.#ledger.armTrimming();
  }

  /** Ends all streams and refuses connects until a time. Publishing goes on. */
  drain(until: number): Ended {
    this.#closing.drain(until);
    this.#alarm.arm(until);
    const closed = this.#audience.endAll("drain");
    this.#host.logger("info", "drain_started", { closed, until: new Date(until).toISOString() });
    return { closed, lingering: this.#audience.lingering };
  }

  /** Ends a drain. */
  resume(): void {
    this.#closing.resume();
  }

  /** Ends all streams for good and refuses connects. Returns at once; `settled` waits for the peers. */
  stop(): Ended {
    this.#closing.stop();
    const closed = this.#audience.endAll("shutdown");
    this.#host.logger("info", "channel_closed", { closed });
    this.#logBudget.flush();
    return { closed, lingering: this.#audience.lingering };
  }

  /** Waits for the peers of a stop, but not for long. From then on publishes are refused too. Resolves to how many linger. */
  async settled(): Promise<number> {
    const lingering = await this.#audience.settled();
    this.#closing.complete();
    return lingering;
  }

  /** Ends one stream. Returns false if there is no such client. */
  kick(clientId: string): boolean {
    return this.#audience.kick(clientId);
  }

  /** The registered clients. */
  clients(): ClientView[] {
    return this.#audience.views();
  }

  /** Finds the clients that have left without the runtime's notice, so that `health` does not count them. */
  findDead(): Promise<void> {
    return this.#audience.findDead();
  }

  health(): HubHealth {
    const { view } = this.#ledger;
    const reasons = [
      ...(this.#ledger.hasFailed ? ["storage_failed"] : []),
      ...(this.#audience.fullBecause(null) === null ? [] : ["limit_reached"]),
    ];
    const working = reasons.length > 0 ? "degraded" : "healthy";
    return {
      status: this.#closing.because === null ? working : "draining",
      reasons,
      drainUntil: this.#closing.drainUntil,
      activeConnections: this.#audience.size,
      lingeringConnections: this.#audience.lingering,
      maxConnections: this.#settings.maxConnections,
      lastEventId: view.head(),
      oldestEventId: view.oldest() > view.head() ? null : view.oldest(),
    };
  }

  #serveClients(): void {
    this.#closing.resumeIfOver(this.#host.clock.now());
    this.#audience.tick();
  }
}
