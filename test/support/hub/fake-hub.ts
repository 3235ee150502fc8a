import type { Ended } from "../../../src/hub/views.ts";
import type { ConnectRequest } from "../../../src/hub/audience/audience.ts";
import type { RelayLife } from "../../../src/hub/audience/attached-relays.ts";
import type { LeaveReason } from "../../../src/hub/audience/client.ts";
import { fixedSeats, type Seats } from "../../../src/hub/audience/seats.ts";
import { OpenStreams } from "../../../src/hub/audience/open-streams.ts";
import { Hub, type HubHost } from "../../../src/hub/hub.ts";
import type { HubSettings } from "../../../src/hub/hub-settings.ts";
import type { Receipt, NewEvent } from "../../../src/hub/log/event-log.ts";
import type { LogFields, Logger, LogLevel } from "../../../src/hub/logger.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeStream } from "./fake-stream.ts";
import { newEvents } from "./new-event.ts";
import { UnrulyLog } from "./unruly-log.ts";

export const SETTINGS: HubSettings = {
  channel: "default",
  heartbeatIntervalMs: 30_000,
  maxConnections: 100,
  clientsPerObject: 1_000,
  maxConnectionsPerAddress: 0,
  maxConnectsPerMinutePerAddress: 0,
  maxPublishesPerMinutePerToken: 0,
  connectionTimeoutMs: 60_000,
  retryAfterMs: 5_000,
  maxStreamAgeMs: 0,
  retention: { maxEvents: 100_000, maxAgeMs: 86_400_000, maxBytes: 1024 ** 3 },
};

export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

export interface ConnectParts {
  readonly terms?: ConnectRequest["terms"];
  readonly lastEventId?: string | number | null;
  readonly logName?: string | null;
  readonly since?: ConnectRequest["start"]["since"];
  readonly stream?: FakeStream;
  readonly address?: string | null;
  readonly endsAt?: number | null;
  readonly relay?: RelayLife;
}

/** The parts of a hub that a test may choose. */
export interface FakeHubOptions {
  readonly settings?: Partial<HubSettings>;
  readonly log?: UnrulyLog;
  readonly clock?: FakeClock;
  readonly random?: () => number;
  readonly openStreams?: OpenStreams;
  readonly seats?: Seats;
}

/** A hub whose time, storage, alarm and clients are controlled by a test. */
export class FakeHub implements HubHost {
  readonly clock: FakeClock;
  readonly log: UnrulyLog;
  readonly lines: LogLine[] = [];
  readonly settings: HubSettings;
  /** When the alarm rings; null if it is not set. */
  alarmAt: number | null = null;
  /** How often the alarm was set. Each time costs a write. */
  alarmsSet = 0;
  /** How often the alarm has rung. */
  rings = 0;
  savedDrain: number | null = null;
  /** The hub waits for this before it admits its first client. */
  beforeFirstClient: (address: string | null) => Promise<void> = () => Promise.resolve();
  readonly random: () => number;
  readonly openStreams: OpenStreams;
  readonly seats: Seats;
  /** The relays whose streams have ended. */
  readonly relaysLeft: (RelayLife & { readonly reason: LeaveReason })[] = [];
  hub: Hub;
  #cancelAlarm: () => void = () => {};

  constructor(options: FakeHubOptions = {}) {
    this.clock = options.clock ?? new FakeClock();
    this.log = options.log ?? new UnrulyLog();
    this.settings = { ...SETTINGS, ...options.settings };
    this.openStreams = options.openStreams ?? new OpenStreams();
    this.seats = options.seats ?? fixedSeats(this.settings.maxConnections);
    this.random = options.random ?? (() => 0.5);
    this.hub = this.#wake();
  }

  /** Evicts the object and wakes it again. Its memory is lost; the log, the alarm and a drain survive. */
  restart(): void {
    this.hub = this.#wake();
  }

  /** Requests a stream. The stream that it returns may not be admitted yet. */
  ask(parts: ConnectParts = {}): { stream: FakeStream; entered: Promise<void> } {
    const { terms = {}, lastEventId = null, logName = null, since = null } = parts;
    const { address = null, endsAt = null } = parts;
    const stream = parts.stream ?? new FakeStream();
    const start = { lastEventId: lastEventId === null ? null : String(lastEventId), logName, since };
    const { relay } = parts;
    const request = { terms, start, address, endsAt, ...(relay !== undefined && { relay }) };
    return { stream, entered: this.hub.connect(request, stream) };
  }

  /** Connects a client, and runs everything that is then ready. */
  async connect(parts: ConnectParts = {}): Promise<FakeStream> {
    const { stream, entered } = this.ask(parts);
    await entered;
    await this.clock.settle();
    return stream;
  }

  /** Stops the hub, and waits for the peers as long as the hub does. */
  async stop(): Promise<Ended> {
    const { closed } = this.hub.stop();
    return { closed, lingering: await this.hub.settled() };
  }

  /** Publishes these events, or this many, and runs everything that is then ready. */
  async publish(
    events: number | readonly NewEvent[] = 1,
    publisher: string | null = null,
  ): Promise<Receipt[]> {
    const wanted = typeof events === "number" ? newEvents(events) : events;
    const receipts = await this.hub.publish(wanted, publisher);
    await this.clock.settle();
    return receipts;
  }

  readonly logger: Logger = (level, event, fields = {}) => {
    this.lines.push({ level, event, fields });
  };

  setAlarm(at: number): void {
    this.#cancelAlarm();
    this.alarmsSet++;
    this.alarmAt = at;
    this.#cancelAlarm = this.clock.after(Math.max(0, at - this.clock.now()), () => {
      this.alarmAt = null;
      this.rings++;
      void this.hub.tick();
    });
  }

  relayLeft(relay: RelayLife, reason: LeaveReason): void {
    this.relaysLeft.push({ ...relay, reason });
  }

  saveDrain(until: number | null): void {
    this.savedDrain = until;
  }

  /** The log lines with this event name. */
  logged(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  #wake(): Hub {
    const hub = new Hub(this.settings, this);
    hub.restore({ alarmAt: this.alarmAt, drainUntil: this.savedDrain });
    return hub;
  }
}
