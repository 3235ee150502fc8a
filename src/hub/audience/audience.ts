import type { Alarm } from "../alarm.ts";
import type { Clock } from "../clock.ts";
import type { Closing } from "../closing.ts";
import { count, observeLatency, type Counters } from "../counters.ts";
import { HubError } from "../errors.ts";
import { FilterPool, type EventForm, type FilterTerms } from "../filter.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { Gap, LogView, Page, Start, StartRequest } from "../log/log-view.ts";
import type { Logger } from "../logger.ts";
import { Quota } from "../quota.ts";
import { Refusals } from "../refusals.ts";
import type { ClientView } from "../views.ts";
import { Admission, type Full, type Slots } from "./admission.ts";
import { Broadcaster, type BroadcastObserver } from "./broadcaster.ts";
import { Client, type ClientStream, type LeaveReason } from "./client.ts";
import { Departures } from "./departures.ts";
import { nextDue, quietClients, stalledClients } from "./heartbeat.ts";
import { Registry } from "./registry.ts";
import { closeFrame, errorFrame, openingFrames, retryDelayMs } from "./service-frames.ts";
import { StreamAges, type AgedStreams } from "./stream-ages.ts";

/** How long a client must have been quiet to be probed before a connect is refused. */
const QUIET_MS = 1_000;

/** How long a stop waits for peers to take the end of their streams. */
const STOP_WAIT_MS = 2_000;

/** Characters of a client's own id that are kept: a client may send any text. */
const RESUMED_FROM_LENGTH = 64;

/** Characters of a filter in a log line: a client writes it. */
const LOGGED_FILTER_LENGTH = 200;

const TOO_MANY_CONNECTS = "This address has asked for too many streams of this channel in the last minute.";
const TOKEN_HAS_ENDED = "A valid token is needed: Authorization: Bearer <token>.";
const SLOW_MESSAGE = "This client has not taken its events in time. It can resume with its last event id.";

/** A client that asks for a stream. */
export interface ConnectRequest {
  readonly terms: FilterTerms;
  /** Default: `data`. */
  readonly form?: EventForm;
  readonly start: StartRequest;
  /** Where it comes from, as a key that the limits per address count by; null if they do not apply. */
  readonly address: string | null;
  /** When the token that opened the stream ends, in ms since the epoch; null for never. */
  readonly endsAt: number | null;
}

/** What the audience needs from its hub. */
export interface AudiencePort {
  readonly view: LogView;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly alarm: Alarm;
  readonly closing: Closing;
  random(): number;
  /** Makes known that there is about to be a client. Called only while there is none. */
  beforeFirstClient(address: string | null): Promise<void>;
}

/** Who listens: registers clients, delivers events to them, keeps their streams alive and ends them. */
export class Audience implements Slots, BroadcastObserver, AgedStreams {
  readonly #settings: HubSettings;
  readonly #port: AudiencePort;
  readonly #filters = new FilterPool();
  readonly #registry: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #ages: StreamAges;
  readonly #admission: Admission;
  readonly #departures = new Departures();
  readonly #connects: Quota;
  readonly #refusals: Refusals;
  readonly #encoder = new TextEncoder();

  constructor(settings: HubSettings, port: AudiencePort) {
    const { view, clock, logger, counters, closing } = port;
    this.#settings = settings;
    this.#port = port;
    this.#registry = new Registry(settings);
    this.#broadcaster = new Broadcaster(this.#registry, view, clock, this);
    this.#ages = new StreamAges(clock, this.#registry, this, () => view.check());
    this.#admission = new Admission(this, closing, clock);
    this.#connects = new Quota(settings.maxConnectsPerMinutePerAddress, TOO_MANY_CONNECTS, clock);
    this.#refusals = new Refusals("connect_refused", counters.rejections, clock, logger);
    view.onAdvance(() => this.#broadcaster.wake());
  }

  /** How many clients are registered. */
  get size(): number {
    return this.#registry.size;
  }

  /** How many ended streams there are whose peers have not taken the end. */
  get lingering(): number {
    return this.#departures.size;
  }

  get canLinger(): boolean {
    return this.lingering < this.#settings.maxConnections;
  }

  /**
   * Registers a client and starts its stream, as soon as there is a slot for it.
   *
   * @throws HubError `rate_limited`, `token_ended`, `limit`, `address_limit`, `draining` or `shutting_down`, and what
   * `beforeFirstClient` throws
   */
  async connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    const { closing, view } = this.#port;
    try {
      this.#connects.use(request.address);
      this.#requireValidToken(request);
      closing.requireOpenToStreams();
      if (this.size === 0) {
        await this.#port.beforeFirstClient(request.address);
        closing.requireOpenToStreams();
      }
      const start = await view.start(request.start);
      await this.#admission.enter(request.address, () =>
        this.#open(this.#register(request, start, stream), start.gap),
      );
    } catch (error) {
      this.#refusals.note(error);
      throw error;
    }
  }

  /** What the alarm does for the clients: drops the stalled ones and sends heartbeats to the quiet ones. */
  tick(): void {
    this.#connects.tidy();
    this.#dropStalled();
    this.#admission.fillFreeSlots();
    const beaten = this.#beat(quietClients(this.#registry, this.#now() - this.#settings.heartbeatIntervalMs));
    if (beaten > 0) {
      this.#port.logger("debug", "heartbeat", { clients: beaten });
    }
  }

  /** When `tick` has something to do next, in ms since the epoch; Infinity if nothing is due. */
  nextDue(): number {
    return nextDue(this.#registry, this.#now(), this.#settings, this.canLinger);
  }

  /** Ends all streams and refuses the connects that wait. Returns how many streams were ended. */
  endAll(reason: "drain" | "shutdown"): number {
    this.#admission.refuseWaiting();
    const clients = [...this.#registry];
    clients.forEach((client) => this.end(client, reason));
    return clients.length;
  }

  /** Waits for the peers of ended streams, but not for long. Resolves to how many still linger. */
  async settled(): Promise<number> {
    await this.#departures.settled(this.#port.clock, STOP_WAIT_MS);
    return this.lingering;
  }

  /** Ends one stream. Returns false if there is no such client. */
  kick(clientId: string): boolean {
    const client = this.#registry.get(clientId);
    if (client !== undefined) {
      this.end(client, "kicked");
      this.#admission.fillFreeSlots();
    }
    return client !== undefined;
  }

  /** Sends a heartbeat to the clients that were quiet for a while, and waits until the dead ones among them are out. */
  async findDead(): Promise<void> {
    await this.#admission.probe();
  }

  /** The clients as an operator sees them. */
  views(): ClientView[] {
    return this.#registry.views(this.#port.view.head());
  }

  /** Ends a client's stream. The client is out at once, and learns the reason as soon as it reads. */
  end(client: Client, reason: Exclude<LeaveReason, "client_left">, before = ""): void {
    if (this.#leave(client, reason)) {
      const retryMs = retryDelayMs(reason, this.#settings.retryAfterMs, this.#port.random);
      this.#departures.end(client.stream, this.#encoder.encode(before + closeFrame(reason, retryMs)));
    }
  }

  fullBecause(address: string | null): Full | null {
    return this.#registry.fullBecause(address);
  }

  probe(address: string | null): boolean {
    const quiet = quietClients(this.#registry, this.#now() - QUIET_MS);
    return this.#beat(quiet.filter((client) => address === null || client.address === address)) > 0;
  }

  write(client: Client, frame: string): void {
    this.#broadcaster.write(client, frame);
  }

  ended(): void {
    this.#admission.fillFreeSlots();
  }

  wrote(now: number): void {
    this.#port.alarm.arm(now + this.#settings.connectionTimeoutMs);
  }

  taken(client: Client, page: Page | null, now: number): void {
    const { alarm, counters } = this.#port;
    alarm.arm(client.writtenAt + this.#settings.heartbeatIntervalMs);
    counters.pages += page === null ? 0 : 1;
    counters.deliveries += page?.events ?? 0;
    if (page !== null && page.publishedAt !== null) {
      observeLatency(counters.latency, Math.max(0, now - page.publishedAt) / 1_000);
    }
  }

  lost(client: Client): void {
    this.#leave(client, "client_left");
    this.#admission.fillFreeSlots();
  }

  swept(clients: number, head: number): void {
    this.#port.counters.sweeps++;
    this.#port.logger("debug", "broadcast", { clients, head });
  }

  gap(client: Client, { reason }: Gap): void {
    this.#port.counters.gaps++;
    this.#port.logger("info", "gap", { client_id: client.id, reason });
  }

  readFailed(client: Client, error: unknown): void {
    this.#port.counters.readFailures++;
    this.#port.logger("error", "log_read_failed", { client_id: client.id, error: String(error) });
  }

  #register(request: ConnectRequest, { cursor }: Start, stream: ClientStream): Client {
    const { counters, logger, random } = this.#port;
    const now = this.#now();
    const client = new Client({
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(request.terms, request.form),
      stream,
      now,
      cursor,
      resumedFrom: request.start.lastEventId?.slice(0, RESUMED_FROM_LENGTH) ?? null,
      address: request.address,
      expiresAt: StreamAges.expiry(now, this.#settings.maxStreamAgeMs, random),
      tokenEndsAt: request.endsAt ?? Number.POSITIVE_INFINITY,
    });
    this.#registry.add(client);
    void stream.gone.then(() => this.lost(client));

    const { id: client_id, resumedFrom: last_event_id } = client;
    const filter = client.filter.key.slice(0, LOGGED_FILTER_LENGTH);
    counters.connects++;
    logger("info", "client_connected", { client_id, cursor, filter });
    if (last_event_id !== null) {
      counters.reconnects++;
      logger("info", "client_reconnected", { client_id, last_event_id });
    }
    return client;
  }

  /** Sends the first frames. What the client is behind on follows when they are taken. */
  #open(client: Client, gap: Gap | null): void {
    const { heartbeatIntervalMs, retryAfterMs, channel } = this.#settings;
    const opening = openingFrames({
      clientId: client.id,
      channel,
      cursor: client.cursor,
      logName: this.#port.view.name,
      heartbeatIntervalSeconds: heartbeatIntervalMs / 1_000,
      retryMs: retryAfterMs,
      gap,
    });
    this.#broadcaster.write(client, opening + this.#ages.takeWarning(client));
    this.#ages.watch(client);
    this.#port.alarm.arm(this.#now() + heartbeatIntervalMs);
    if (gap !== null) {
      this.gap(client, gap);
    }
  }

  /**
   * The one way out of the registry, for whatever reason. Returns false if the client had left already. The freed slot
   * is given out by the caller, after any loop over the registry.
   */
  #leave(client: Client, reason: LeaveReason): boolean {
    if (!this.#registry.remove(client)) {
      return false;
    }
    this.#filters.release(client.filter);
    this.#broadcaster.forget(client);
    if (this.#registry.size === 0) {
      this.#ages.rest();
    }
    count(this.#port.counters.disconnects, reason);
    this.#port.logger("info", "client_disconnected", {
      client_id: client.id,
      reason,
      duration_ms: this.#now() - client.connectedAt,
      events_sent: client.eventsSent,
    });
    return true;
  }

  /** Ends the streams of clients that did not take a write in time, as long as more streams may linger. */
  #dropStalled(): void {
    const now = this.#now();
    for (const client of stalledClients(this.#registry, now, this.#settings)) {
      if (!this.canLinger) {
        return;
      }
      const { id: client_id, cursor, pendingSince } = client;
      this.#port.logger("warn", "slow_client", {
        client_id,
        stalled_ms: now - (pendingSince ?? now),
        cursor,
      });
      this.end(client, "slow_client", errorFrame("slow_client", SLOW_MESSAGE, true));
    }
  }

  /** Returns how many clients got a heartbeat. */
  #beat(clients: readonly Client[]): number {
    clients.forEach((client) => this.#broadcaster.beat(client));
    this.#port.counters.heartbeats += clients.length;
    return clients.length;
  }

  #requireValidToken({ endsAt }: ConnectRequest): void {
    if (endsAt !== null && endsAt <= this.#now()) {
      throw new HubError("token_ended", TOKEN_HAS_ENDED);
    }
  }

  #now(): number {
    return this.#port.clock.now();
  }
}
