import { type EventForm, FilterPool, type FilterTerms } from "../filter.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { Gap, LogView, Page, Start } from "../log/log-view.ts";
import type { HubParts } from "../hub-parts.ts";
import type { ClientView } from "../views.ts";
import { Admission, type AdmissionHost, type EntryRequest } from "./admission.ts";
import { AttachedRelays, type RelayLife } from "./attached-relays.ts";
import { AudienceRecord } from "./audience-record.ts";
import type { BroadcastObserver } from "./broadcast-observer.ts";
import { Broadcaster } from "./broadcaster.ts";
import { Client, type ClientStream, type LeaveReason } from "./client.ts";
import { Departures } from "./departures.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { OpenStreams } from "./open-streams.ts";
import { isOfOtherLog, otherLogGap } from "./other-log.ts";
import { Probe } from "./probe.ts";
import { Registry, type Full } from "./registry.ts";
import { fixedSeats, type Seats } from "./seats.ts";
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
  /** If the client is a relay. Its stream does not age and does not count for an address. */
  readonly relay?: RelayLife;
  /** Whether the client gets the named frames of the service as comments. Default: no. */
  readonly isBare?: boolean;
  /** Whether the client is told when its replay is complete. Default: no. */
  readonly tellsCaughtUp?: boolean;
}

/** What an audience needs from the place where it runs. */
export interface AudienceHost extends AdmissionHost {
  /** Shared by all hubs of a process. */
  readonly openStreams: OpenStreams;
  /** Default: as many seats as the channel may have clients. */
  readonly seats?: Seats;
  /** Called when the last client has left. */
  becameEmpty?(): void;
  random(): number;
  /** Called when the stream to a relay has ended. */
  relayLeft?(relay: RelayLife, reason: LeaveReason): void;
}

/** The half of a hub that delivers: registers clients, sends them events, keeps their streams alive and ends them. */
export class Audience implements BroadcastObserver, AgedStreams {
  readonly #settings: HubSettings;
  readonly #view: LogView;
  readonly #host: AudienceHost;
  readonly #parts: HubParts;
  readonly #record: AudienceRecord;
  readonly #filters = new FilterPool();
  readonly #seats: Seats;
  readonly #registry: Registry;
  readonly #relays = new AttachedRelays();
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
    this.#seats = host.seats ?? fixedSeats(settings.maxConnections);
    this.#registry = new Registry(settings, this.#seats);
    this.#broadcaster = new Broadcaster(
      this.#registry,
      host.openStreams,
      view,
      settings,
      clock,
      this,
      this.#record,
    );
    this.#heartbeat = new Heartbeat(settings, clock, this.#registry, this.#broadcaster, this.#record);
    this.#probe = new Probe(clock, this.#heartbeat);
    this.#admission = new Admission(settings, this.#registry, this.#seats, this.#probe, view, host, parts);
    this.#ages = new StreamAges(clock, this.#registry, this.#broadcaster, this, () => view.check());
    // A publish moves the head, and a sweep delivers its events.
    view.onAdvance(() => this.#broadcaster.wake());
  }

  /** How many clients are registered. */
  get size(): number {
    return this.#registry.size;
  }

  /** How many clients take a seat. Relays take none. */
  get seated(): number {
    return this.#registry.seated;
  }

  /** How many streams were ended whose peers have not accepted the end yet. */
  get lingering(): number {
    return this.#departures.size;
  }

  get canLinger(): boolean {
    const { maxConnections, clientsPerObject } = this.#settings;
    return this.lingering < Math.min(maxConnections, clientsPerObject);
  }

  /**
   * Registers a client and starts its stream, as soon as there is a slot for it. Throws what `Admission.enter` throws.
   */
  connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    const { relay } = request;
    const address = relay === undefined ? request.address : null;
    if (this.#parts.closing.reason === null) {
      // Before the admission: the earlier life of a relay must not hold the slot that its next life needs.
      this.#endEarlierLife(relay);
    }
    return this.#admission.enter({ ...request, address, isRelay: relay !== undefined }, (start) => {
      this.#endEarlierLife(relay);
      const current = this.#inThisLog(start);
      const client = this.#register({ ...request, address }, current, stream);
      this.#open(client, current.gap);
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
    this.#seats.left();
    if (this.#registry.size === 0) {
      this.#host.becameEmpty?.();
    }
    if (reason !== "client_left") {
      const retryMs = retryDelayMs(reason, this.#settings.retryAfterMs, () => this.#host.random());
      const goodbye = goodbyeFrames(reason, retryMs);
      this.#departures.end(
        client.stream,
        this.#encoder.encode(client.isBare ? bareFrames(goodbye) : goodbye),
      );
    }
    const relay = this.#relays.remove(client);
    if (relay !== null) {
      this.#host.relayLeft?.(relay, reason);
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

  /** Sends a frame of the service to every idle client. A client with a pending write does not get it. */
  announce(frame: string): void {
    for (const client of this.#registry) {
      if (client.pendingSince === null) {
        this.#broadcaster.write(client, frame);
      }
    }
  }

  /** Ends the streams of the newest clients for which there is no seat any more. Returns how many were ended. */
  endExcess(): number {
    const seated = [...this.#registry].filter((client) => !client.isRelay);
    const excess = seated.slice(this.#seats.limit).toReversed();
    excess.forEach((client) => this.leave(client, "limit"));
    return excess.length;
  }

  /** The life of a relay that is attached; null if none is. */
  lifeOf(relayName: string): string | null {
    return this.#relays.lifeOf(relayName);
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

  #register(request: ConnectRequest, start: Start, stream: ClientStream): Client {
    const now = this.#now();
    const client = new Client({
      id: crypto.randomUUID(),
      filter: this.#filters.acquire(request.terms, request.form),
      stream,
      now,
      cursor: start.cursor,
      generation: start.generation ?? 0,
      resumedFrom: request.start.lastEventId?.slice(0, RESUMED_FROM_LENGTH) ?? null,
      address: request.address,
      expiresAt: this.#expiryOf(request, now),
      tokenEndsAt: request.endsAt ?? Number.POSITIVE_INFINITY,
      isRelay: request.relay !== undefined,
      isBare: request.isBare ?? false,
      isCatchingUp: request.tellsCaughtUp ?? false,
    });
    this.#registry.add(client);
    if (request.relay !== undefined) {
      this.#relays.add(request.relay, client);
    }
    if (!this.#isCounted) {
      this.#isCounted = true;
      this.#host.openStreams.add(this.#registry);
    }
    void stream.gone.then(() => this.lost(client));
    this.#record.connected(client);
    return client;
  }

  /** The log may have been replaced while the client waited for a slot. */
  #inThisLog(start: Start): Start {
    if (!isOfOtherLog(start.generation ?? 0, this.#view)) {
      return start;
    }
    const gap = otherLogGap(start.cursor, this.#view);
    return { cursor: gap.oldest - 1, gap, generation: this.#view.generation ?? 0 };
  }

  /** The stream to a relay does not age: its clients would notice each end. */
  #expiryOf({ relay }: ConnectRequest, now: number): number {
    const { maxStreamAgeMs } = this.#settings;
    return StreamAges.expiry(now, relay === undefined ? maxStreamAgeMs : 0, () => this.#host.random());
  }

  #endEarlierLife(relay: RelayLife | undefined): void {
    const client = relay && this.#relays.clientOf(relay.name);
    if (client !== undefined) {
      this.leave(client, "replaced");
    }
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
