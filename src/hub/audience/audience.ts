import { type EventForm, FilterPool, type FilterTerms } from "../filter.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { Gap, LogView, Page, Start } from "../log/log-view.ts";
import type { HubParts } from "../hub-parts.ts";
import type { ClientView } from "../views.ts";
import { Admission, type AdmissionHost, type EntryRequest } from "./admission.ts";
import { AudienceRecord } from "./audience-record.ts";
import type { BroadcastObserver } from "./broadcast-observer.ts";
import { Broadcaster } from "./broadcaster.ts";
import { Client, type ClientStream, type LeaveReason } from "./client.ts";
import { Departures } from "./departures.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { OpenStreams } from "./open-streams.ts";
import { Probe } from "./probe.ts";
import { Registry, type Full } from "./registry.ts";
import { bareFrames, goodbyeFrames, openingFrames, retryDelayMs } from "./service-frames.ts";
import { StreamAges, type AgedStreams } from "./stream-ages.ts";

/** How long a stop waits for the peers to accept the end of their streams. */
const STOP_WAIT_MS = 2_000;

/** How many characters are kept of the id that a client brings: a client may send any text. */
const RESUMED_FROM_LENGTH = 64;

/** A client that asks for a stream. */
export interface ConnectRequest extends EntryRequest {
  readonly terms: FilterTerms;
  /** Default: `data`. */
  readonly form?: EventForm;
  /** Whether the client gets the named frames of the service as comments. Default: no. */
  readonly isBare?: boolean;
  /** Whether the client is told when its replay is complete. Default: no. */
  readonly tellsCaughtUp?: boolean;
}

/** What an audience needs from the place where it runs. */
export interface AudienceHost extends AdmissionHost {
  /** Shared by all hubs of a process. */
  readonly openStreams: OpenStreams;
  random(): number;
}

/** The half of a hub that delivers: registers clients, sends them events, keeps their streams alive and ends them. */
export class Audience implements BroadcastObserver, AgedStreams {
  readonly #settings: HubSettings;
  readonly #view: LogView;
  readonly #host: AudienceHost;
  readonly #parts: HubParts;
  readonly #record: AudienceRecord;
  readonly #filters = new FilterPool();
  readonly #registry: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #heartbeat: Heartbeat;
  readonly #probe: Probe;
  readonly #admission: Admission;
  readonly #ages: StreamAges;
  readonly #departures = new Departures();
  readonly #encoder = new TextEncoder();
  #isCounted = false;

  constructor(settings: HubSettings, view: LogView, host: AudienceHost, parts: HubParts) {
    const { clock, counters, logger } = parts;
    this.#settings = settings;
    this.#view = view;
    this.#host = host;
    this.#parts = parts;
    this.#record = new AudienceRecord(counters, logger);
    this.#registry = new Registry(settings);
    this.#broadcaster = new Broadcaster(this.#registry, host.openStreams, view, clock, this, this.#record);
    this.#heartbeat = new Heartbeat(settings, clock, this.#registry, this.#broadcaster, this.#record);
    this.#probe = new Probe(clock, this.#heartbeat);
    this.#admission = new Admission(settings, this.#registry, this.#probe, view, host, parts);
    this.#ages = new StreamAges(clock, this.#registry, this.#broadcaster, this, () => view.check());
    // A publish moves the head, and a sweep delivers its events.
    view.onAdvance(() => this.#broadcaster.wake());
  }

  /** How many clients are registered. */
  get size(): number {
    return this.#registry.size;
  }

  /** How many streams were ended whose peers have not accepted the end yet. */
  get lingering(): number {
    return this.#departures.size;
  }

  get canLinger(): boolean {
    return this.lingering < this.#settings.maxConnections;
  }

  /**
   * Registers a client and starts its stream, as soon as there is a slot for it. Throws what `Admission.enter` throws.
   */
  connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    return this.#admission.enter(request, (start) => {
      const client = this.#register(request, start, stream);
      this.#open(client, start.gap);
    });
  }

  /**
   * The one way out of the registry, for whatever reason. Call `fillFreeSlots` afterwards, outside of any loop over the
   * clients: it registers new ones.
   */
  leave(client: Client, reason: LeaveReason): void {
    if (!this.#registry.remove(client)) {
      return;
    }
    this.#filters.release(client.filter);
    this.#broadcaster.forget(client);
    this.#ages.restIfEmpty();
    this.#record.left(client, reason, this.#now());
    if (reason !== "client_left") {
      const retryMs = retryDelayMs(reason, this.#settings.retryAfterMs, () => this.#host.random());
      const goodbye = goodbyeFrames(reason, retryMs);
      this.#departures.end(
        client.stream,
        this.#encoder.encode(client.isBare ? bareFrames(goodbye) : goodbye),
      );
    }
  }

  /** Gives the slots of clients that have left to the connects that wait. */
  fillFreeSlots(): void {
    this.#admission.fillFreeSlots();
  }

  /** What the alarm does for the clients: drops the stalled ones and sends heartbeats to the quiet ones. */
  tick(): void {
    this.#admission.tidy();
    this.#dropStalled();
    this.fillFreeSlots();
    this.#heartbeat.beat();
  }

  /** When `tick` has something to do next, in ms since the epoch; Infinity if nothing is due. */
  nextDue(): number {
    return this.#heartbeat.nextDue(this.canLinger);
  }

  /** Ends all streams and refuses the waiting connects. Returns how many streams were ended. */
  endAll(reason: "drain" | "shutdown"): number {
    this.#admission.refuseWaiting();
    const clients = [...this.#registry];
    clients.forEach((client) => this.leave(client, reason));
    return clients.length;
  }

  /** Waits a moment for the peers of ended streams. Resolves to how many of these streams still linger. */
  async settled(): Promise<number> {
    await this.#departures.settled(this.#parts.clock, STOP_WAIT_MS);
    return this.lingering;
  }

  /** Ends one stream. Returns false if there is no such client. */
  kick(clientId: string): boolean {
    const client = this.#registry.get(clientId);
    if (client === undefined) {
      return false;
    }
    this.leave(client, "kicked");
    this.fillFreeSlots();
    return true;
  }

  /** Sends a heartbeat to the clients that were quiet for a while, and waits until the dead ones among them are out. */
  findDead(): Promise<void> {
    return this.#probe.findDead();
  }

  /** The clients as an operator sees them. */
  views(): ClientView[] {
    return this.#registry.views(this.#view.head());
  }

  /** Which limit leaves no slot for a client of this address; null if there is a slot. */
  fullBecause(address: string | null): Full | null {
    return this.#registry.fullBecause(address);
  }

  wrote(now: number): void {
    this.#parts.alarm.arm(now + this.#settings.connectionTimeoutMs);
  }

  accepted(client: Client, page: Page | null, now: number): void {
    this.#parts.alarm.arm(client.writtenAt + this.#settings.heartbeatIntervalMs);
    if (page !== null) {
      this.#record.accepted(page, now);
    }
  }

  lost(client: Client): void {
    this.leave(client, "client_left");
    this.fillFreeSlots();
  }

  #register(request: ConnectRequest, { cursor }: Start, stream: ClientStream): Client {
    const now = this.#now();
    const client = new Client({
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(request.terms, request.form),
      stream,
      now,
      cursor,
      resumedFrom: request.start.lastEventId?.slice(0, RESUMED_FROM_LENGTH) ?? null,
      address: request.address,
      expiresAt: StreamAges.expiry(now, this.#settings.maxStreamAgeMs, () => this.#host.random()),
      tokenEndsAt: request.endsAt ?? Number.POSITIVE_INFINITY,
      isBare: request.isBare ?? false,
      isCatchingUp: request.tellsCaughtUp ?? false,
    });
    this.#registry.add(client);
    if (!this.#isCounted) {
      this.#isCounted = true;
      this.#host.openStreams.add(this.#registry);
    }
    void stream.gone.then(() => this.lost(client));
    this.#record.connected(client);
    return client;
  }

  /** Starts the stream of a new client, and watches over it. */
  #open(client: Client, gap: Gap | null): void {
    const opening = openingFrames(client, this.#view.name, this.#settings, gap);
    this.#broadcaster.start(client, opening + this.#ages.takeWarning(client));
    this.#ages.watch(client);
    this.#parts.alarm.arm(this.#now() + this.#settings.heartbeatIntervalMs);
    if (gap !== null) {
      this.#record.gap(client, gap);
    }
  }

  /** Ends the streams of clients that did not accept a write in time, while more streams may linger. */
  #dropStalled(): void {
    const now = this.#now();
    for (const client of this.#heartbeat.stalled()) {
      if (!this.canLinger) {
        return;
      }
      this.#record.stalled(client, now);
      this.leave(client, "slow_client");
    }
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}
