import { Alarm } from "./alarm.ts";
import { Audience, type AudienceHost, type ConnectRequest } from "./audience/audience.ts";
import type { ClientStream } from "./audience/client.ts";
import { Closing, type ClosingHost } from "./closing.ts";
import { createCounters, type Counters } from "./counters.ts";
import type { FilterTerms } from "./filter.ts";
import { healthOf } from "./health.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { EventLog, NewEvent, Receipt } from "./log/event-log.ts";
import type { HistoryPage } from "./log/history.ts";
import { Ledger, type HistoryRequest } from "./log/ledger.ts";
import { LogBudget } from "./log-budget.ts";
import type { Logger } from "./logger.ts";
import type { ChannelCounts, ClientView, Ended, HubHealth } from "./views.ts";

/** The parts of the host that a hub uses, including those of its closing and its audience. */
export interface HubHost extends ClosingHost, AudienceHost {
  readonly log: EventLog;
  readonly logger: Logger;
  /** Replaces the alarm, which calls `tick`. The hub only ever asks for an earlier time than the alarm is set to. */
  setAlarm(at: number): void;
}

/**
 * Orders, logs and delivers the events of one channel. Its ledger stores the events, and its audience delivers those
 * that the ledger's view shows. Knows neither HTTP nor Cloudflare.
 */
export class Hub {
  readonly counters: Counters = createCounters();
  readonly #settings: HubSettings;
  readonly #logBudget: LogBudget;
  readonly #alarm: Alarm;
  readonly #closing: Closing;
  readonly #ledger: Ledger;
  readonly #audience: Audience;

  constructor(settings: HubSettings, host: HubHost) {
    const { clock, log } = host;
    this.#settings = settings;
    this.#logBudget = new LogBudget(host.logger, clock);
    const logger = this.#logBudget.log;
    this.#alarm = new Alarm(settings.heartbeatIntervalMs, (at) => host.setAlarm(at));
    this.#closing = new Closing(host, logger);
    const parts = { clock, logger, counters: this.counters, alarm: this.#alarm, closing: this.#closing };
    this.#ledger = new Ledger(settings, log, parts);
    this.#audience = new Audience(settings, this.#ledger.view, host, parts);
  }

  /** Whether no client is registered. */
  get isEmpty(): boolean {
    return this.#audience.size === 0;
  }

  /** Takes over from an earlier life of this hub: the alarm that is set, and a drain. */
  restore(kept: { readonly alarmAt: number | null; readonly drainUntil: number | null }): void {
    this.#alarm.restore(kept.alarmAt);
    this.#closing.restore(kept.drainUntil);
    // A change of the configuration can put the log over its bounds without a publish.
    this.#ledger.armTrimming();
  }

  /** Stores events, and delivers them once they are durable. See `Ledger.publish`. */
  publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms = {},
  ): Promise<Receipt[]> {
    return this.#ledger.publish(events, publisher, grant);
  }

  /** Reads stored events as a stream would replay them. See `Ledger.history`. */
  history(request: HistoryRequest): Promise<HistoryPage> {
    return this.#ledger.history(request);
  }

  /** Registers a client and starts its stream. See `Audience.connect`. */
  connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    return this.#audience.connect(request, stream);
  }

  /** Does what is due: heartbeats, stalled clients, trimming. Never throws, and sets the next alarm itself. */
  async tick(): Promise<void> {
    this.#alarm.rung();
    this.#logBudget.flush();
    try {
      this.#serveClients();
      await this.#ledger.trim(() => this.#serveClients());
    } catch (error) {
      this.#logBudget.log("error", "tick_failed", { error: String(error) });
    }
    this.#alarm.arm(Math.min(this.#audience.nextDue(), this.#closing.nextDue()));
    this.#ledger.armTrimming();
  }

  /** Ends all streams and refuses connects until a time. Publishing goes on. */
  drain(until: number): Ended {
    this.#closing.drain(until);
    this.#alarm.arm(until);
    const closed = this.#audience.endAll("drain");
    this.#logBudget.log("info", "drain_started", { closed, until: new Date(until).toISOString() });
    return { closed, lingering: this.#audience.lingering };
  }

  /** Ends a drain. */
  resume(): void {
    this.#closing.resume();
  }

  /** Ends all streams for good and refuses connects. Returns at once; `settled` waits for the peers. */
  stop(): Ended {
    this.#closing.stopStreams();
    const closed = this.#audience.endAll("shutdown");
    this.#logBudget.log("info", "channel_closed", { closed });
    this.#logBudget.flush();
    return { closed, lingering: this.#audience.lingering };
  }

  /**
   * Waits a moment for the peers of a stop, and then refuses publishes too. Resolves to how many streams still linger.
   */
  async settled(): Promise<number> {
    const lingering = await this.#audience.settled();
    this.#closing.stopPublishes();
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

  /** The life of a relay that is attached; null if none is. */
  lifeOf(relayName: string): string | null {
    return this.#audience.lifeOf(relayName);
  }

  /** Finds the clients that have left without the runtime's notice, so that `health` does not count them. */
  findDead(): Promise<void> {
    return this.#audience.findDead();
  }

  /** What the hub has counted since it was opened. */
  counts(): ChannelCounts {
    return { counters: this.counters, health: this.health(), relays: [] };
  }

  health(): HubHealth {
    return healthOf(this.#settings, this.#ledger, this.#audience, this.#closing);
  }

  #serveClients(): void {
    this.#closing.resumeIfOver();
    this.#audience.tick();
  }
}
