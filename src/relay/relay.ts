import { Alarm } from "../hub/alarm.ts";
import { Audience, type AudienceHost, type ConnectRequest } from "../hub/audience/audience.ts";
import type { ClientStream } from "../hub/audience/client.ts";
import { errorFrame } from "../hub/audience/service-frames.ts";
import { Closing } from "../hub/closing.ts";
import type { Clock } from "../hub/clock.ts";
import { createCounters, type Counters } from "../hub/counters.ts";
import { HubError } from "../hub/errors.ts";
import type { HubSettings } from "../hub/hub-settings.ts";
import { LogBudget } from "../hub/log-budget.ts";
import type { Logger } from "../hub/logger.ts";
import type { ClientView, Ended } from "../hub/views.ts";
import { Feed, type FeedObserver } from "./feed.ts";
import { LeasedSeats } from "./leased-seats.ts";
import type { RelayReport } from "./relay-port.ts";
import type { Lease, LeaseRequest, Recalled } from "./seat-lease.ts";
import { Tail, type TailBounds } from "./tail.ts";
import type { Upstream } from "./upstream.ts";

/** How long a connect waits for the stream of the hub. */
const ATTACH_MS = 5_000;

/** How long a relay without clients keeps its seats and its stream. */
const LINGER_MS = 8_000;

/** How long connects that were on their way when all streams were ended are refused. The hub refuses the later ones. */
const CLOSED_MS = 1_000;

/** When the clients of a relay that has lost its hub are told. */
const TELL_LOST_MS = 5_000;

const LOST_MESSAGE = "The source of this channel cannot be reached at the moment. No event is lost.";

/** The settings of a relay. */
export interface RelaySettings extends HubSettings {
  /** The name of the relay within its channel: `region/number`. */
  readonly relay: string;
  readonly tail: TailBounds;
}

/** What a relay needs from the place where it runs. */
export interface RelayHost extends Pick<AudienceHost, "random" | "openStreams"> {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Replaces the alarm, which calls `tick`. */
  setAlarm(at: number): void;
  /** Throws if a deploy has left this object behind, so that its clients move to the new one. Default: it never is. */
  check?(): void;
  /** The hub, for the relay with this random name of its life. */
  upstream(life: string): Upstream;
  /** Asks the hub for seats. */
  lease(request: LeaseRequest): Promise<Lease>;
}

/**
 * A client of its hub that has clients: it keeps the tail of the log that its feed brings, and its audience delivers what
 * the tail shows. Its seats come from the hub.
 */
export class Relay implements FeedObserver {
  readonly counters: Counters = createCounters();
  readonly #life = crypto.randomUUID();
  readonly #clock: Clock;
  readonly #logBudget: LogBudget;
  readonly #alarm: Alarm;
  readonly #closing: Closing;
  readonly #tail: Tail;
  readonly #feed: Feed;
  readonly #seats: LeasedSeats;
  readonly #audience: Audience;
  /** How many connects are on their way. Meanwhile the relay does not go to sleep. */
  #arriving = 0;
  #emptySince: number | null = null;
  #isLossTold = false;

  constructor(settings: RelaySettings, host: RelayHost) {
    const { clock, random } = host;
    this.#clock = clock;
    this.#logBudget = new LogBudget(host.logger, clock);
    const logger = this.#logBudget.log;
    this.#alarm = new Alarm(settings.heartbeatIntervalMs, (at) => host.setAlarm(at));
    // Silent: the hub has logged its drain already.
    this.#closing = new Closing({ clock, saveDrain: () => {} }, () => {});
    const upstream = host.upstream(this.#life);
    this.#tail = new Tail(upstream, settings, clock, () => host.check?.());
    this.#feed = new Feed(upstream, this.#tail, this, {
      clock,
      logger,
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      random,
    });
    this.#seats = new LeasedSeats({
      clock,
      relay: settings.relay,
      life: this.#life,
      capacity: settings.clientsPerObject,
      used: () => this.#audience.seated,
      lease: (request) => host.lease(request),
      leased: (lease) => this.#leased(lease),
      lapsed: () => this.#lapsed(),
    });
    this.#audience = new Audience(
      settings,
      this.#tail,
      {
        openStreams: host.openStreams,
        random,
        seats: this.#seats,
        beforeFirstClient: () => Promise.resolve(),
        becameEmpty: () => this.#becameEmpty(),
      },
      { clock, logger, counters: this.counters, alarm: this.#alarm, closing: this.#closing },
    );
  }

  /** Takes over the alarm of an earlier life of this relay. */
  restore(alarmAt: number | null): void {
    this.#alarm.restore(alarmAt);
  }

  /**
   * Registers a client and starts its stream. See `Audience.connect`.
   *
   * @throws HubError also what the hub refuses its relay, and `hub_unreachable`
   */
  async connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    this.#arriving++;
    try {
      this.#closing.requireOpenToStreams();
      await this.#attached();
      await this.#audience.connect(request, stream);
      this.#emptySince = null;
    } finally {
      this.#arriving--;
      if (this.#arriving === 0) {
        this.#closing.resume();
      }
      if (this.#audience.size === 0) {
        this.#becameEmpty();
      }
    }
  }

  /** Does what is due: heartbeats, stalled clients, the lease, a silent hub, sleep. Never throws. */
  async tick(): Promise<void> {
    this.#alarm.rung();
    this.#logBudget.flush();
    const now = this.#clock.now();
    try {
      this.#closing.resumeIfOver();
      this.#audience.tick();
      this.#feed.check(now);
      this.#tellLoss(now);
      this.#seats.tick();
      this.#sleepIfUnused(now);
    } catch (error) {
      this.#logBudget.log("error", "tick_failed", { error: String(error) });
    }
    this.#arm();
  }

  report(): RelayReport {
    return {
      life: this.#life,
      counters: this.counters,
      activeConnections: this.#audience.seated,
      lingeringConnections: this.#audience.lingering,
      lastEventId: this.#tail.head(),
      lostForMs: this.#lostForMs(this.#clock.now()),
    };
  }

  clients(): ClientView[] {
    return this.#audience.views();
  }

  kick(clientId: string): boolean {
    return this.#audience.kick(clientId);
  }

  findDead(): Promise<void> {
    return this.#audience.findDead();
  }

  /** Ends all streams. The hub refuses the next feed, and with it the next client. */
  end(reason: "drain" | "shutdown"): Ended {
    if (this.#arriving > 0) {
      // Connects that are on their way must not get in any more.
      this.#closing.drain(this.#clock.now() + CLOSED_MS);
    }
    this.#feed.close();
    const closed = this.#audience.endAll(reason);
    this.#logBudget.log("info", "relay_closed", { reason, closed });
    return { closed, lingering: this.#audience.lingering };
  }

  settled(): Promise<number> {
    return this.#audience.settled();
  }

  /** Gives the seats back that are not used, after the dead clients have left. */
  async recall(version: number): Promise<Recalled> {
    void this.#audience.findDead();
    return this.#seats.recall(version);
  }

  attached(): void {
    this.#isLossTold = false;
    this.#arm();
  }

  lost(): void {
    this.#arm();
  }

  /** The hub has ended the feed because it drains, shuts down, or has another life of this relay. */
  ended(reason: "drain" | "shutdown" | "replaced"): void {
    this.end(reason === "replaced" ? "drain" : reason);
    if (reason === "replaced") {
      this.#seats.giveUp();
    }
  }

  /** Waits for the feed, but only if there is none that the clients could do without. */
  async #attached(): Promise<void> {
    if (this.#feed.hasAttached) {
      return;
    }
    const { promise, reject } = Promise.withResolvers<never>();
    const unreachable = new HubError(
      "hub_unreachable",
      "The hub of this channel cannot be reached at the moment.",
    );
    const cancel = this.#clock.after(ATTACH_MS, () => reject(unreachable));
    try {
      await Promise.race([this.#feed.attach(), promise]);
    } finally {
      cancel();
    }
  }

  #becameEmpty(): void {
    this.#emptySince ??= this.#clock.now();
    this.#alarm.arm(this.#emptySince + LINGER_MS);
  }

  /** There may be fewer seats than clients, because another relay got them while the hub could not be reached. */
  #leased({ parent, isAttached }: Lease): void {
    this.#audience.endExcess();
    this.#feed.follow(parent);
    if (!isAttached) {
      this.#feed.reopen();
    }
  }

  /**
   * Streams stay open while the hub is away, because no other relay can get their seats from it. When it is back, its next
   * answer says how many clients may stay.
   */
  #lapsed(): void {
    if (this.#feed.lostSince === null) {
      this.#audience.endExcess();
    }
  }

  #sleepIfUnused(now: number): void {
    const isUnused = this.#audience.size === 0 && this.#arriving === 0;
    if (isUnused && this.#emptySince !== null && now >= this.#emptySince + LINGER_MS) {
      this.#feed.close();
      this.#seats.release();
      this.#emptySince = null;
    }
  }

  #tellLoss(now: number): void {
    if (!this.#isLossTold && this.#lostForMs(now) >= TELL_LOST_MS) {
      this.#isLossTold = true;
      this.#audience.announce(errorFrame("upstream_lost", LOST_MESSAGE, true));
    }
  }

  #lostForMs(now: number): number {
    return this.#feed.lostSince === null ? 0 : now - this.#feed.lostSince;
  }

  #arm(): void {
    const told =
      this.#isLossTold || this.#feed.lostSince === null ? Infinity : this.#feed.lostSince + TELL_LOST_MS;
    const asleep = this.#emptySince === null ? Infinity : this.#emptySince + LINGER_MS;
    this.#alarm.arm(
      Math.min(this.#audience.nextDue(), this.#feed.nextDue(), this.#seats.nextDue(), told, asleep),
    );
  }
}
