import type { Clock } from "../clock.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { Gap, LogView, Page } from "../log/log-view.ts";
import type { BroadcastObserver, BroadcastRecord } from "./broadcast-observer.ts";
import type { Client } from "./client.ts";
import type { OpenStreams } from "./open-streams.ts";
import { isOfOtherLog, otherLogGap } from "./other-log.ts";
import { pageBytes } from "./page-size.ts";
import { PendingWrites } from "./pending-writes.ts";
import type { Registry } from "./registry.ts";
import {
  bareFrames,
  caughtUpFrame,
  errorFrame,
  gapFrame,
  heartbeatFrame,
  openingFrames,
} from "./service-frames.ts";
import { SweepPages } from "./sweep-pages.ts";

/**
 * How many writes a sweep makes before everything else that is ready to run may run. Otherwise a publish that arrives
 * during a sweep of 1,000 clients is acknowledged only after all of its writes, some 30 ms later. With fewer clients a
 * pause costs more than it gains.
 */
const SLICE_WRITES = 100;

/** How many pages a view may fetch at a time, if it has to fetch them. */
const FETCHED_PAGES = 4;

/** The pause before a client is served again after a failed read of the log. */
const RETRY_READ_MS = 1_000;

/**
 * Delivery by sweeps. A client is a cursor into the log. A sweep gives each client that is behind and idle the next
 * page after its cursor as one write. The next sweep starts when the clients have accepted these writes, or without the
 * clients that take too long. Replay and live delivery are therefore the same thing, load turns into batching, and a
 * slow client delays nobody.
 */
export class Broadcaster {
  readonly #clients: Registry;
  readonly #openStreams: OpenStreams;
  readonly #view: LogView;
  readonly #settings: HubSettings;
  readonly #clock: Clock;
  readonly #observer: BroadcastObserver;
  readonly #record: BroadcastRecord;
  readonly #writes: PendingWrites;
  readonly #encoder = new TextEncoder();
  /** Pages that were asked for and have not arrived. */
  #fetching = 0;
  /** Whether there may be something to deliver that the current sweep did not see. */
  #isWoken = false;

  constructor(
    clients: Registry,
    openStreams: OpenStreams,
    view: LogView,
    settings: HubSettings,
    clock: Clock,
    observer: BroadcastObserver,
    record: BroadcastRecord,
  ) {
    this.#clients = clients;
    this.#openStreams = openStreams;
    this.#view = view;
    this.#settings = settings;
    this.#clock = clock;
    this.#observer = observer;
    this.#record = record;
    this.#writes = new PendingWrites(clock, observer, (client) => this.#wakeIfBehind(client));
  }

  /** Starts sweeping, unless sweeps are running. Call it when there may be something to deliver. */
  wake(): void {
    this.#isWoken = true;
    if (!this.#writes.isSweeping) {
      void this.#run();
    }
  }

  /**
   * Starts delivery to a new client: these frames now, and the log after its cursor once it has accepted them.
   * Accepting them wakes the broadcaster.
   */
  start(client: Client, frames: string): void {
    this.write(client, frames);
  }

  /** Stops delivery to a client that has left. */
  forget(client: Client): void {
    this.#writes.forget(client);
  }

  /** Writes frames of the service to an idle client. */
  write(client: Client, frames: string): void {
    const now = this.#clock.now();
    const text = (client.isBare ? bareFrames(frames) : frames) + this.#arrival(client, this.#view.head());
    this.#writes.write(client, this.#encoder.encode(text), null, now);
    this.#observer.wrote(now);
  }

  /** Writes a heartbeat to an idle client. It carries the cursor if the filter has hidden events since the last id. */
  beat(client: Client): void {
    const hasHidden = client.cursor > client.lastSentId;
    client.lastSentId = client.cursor;
    this.write(client, heartbeatFrame(hasHidden ? client.cursor : null));
  }

  async #run(): Promise<void> {
    try {
      while (this.#clients.size > 0) {
        const startedAt = this.#clock.now();
        this.#isWoken = false;
        const hasMore = await this.#sweep(startedAt);
        if (this.#writes.awaited > 0) {
          await this.#writes.awaitSweep(this.#clients, startedAt);
        } else if (hasMore) {
          // No write to wait for, only more of the log to read: everything else that is ready comes first.
          await this.#clock.turn();
        } else if (!this.#isWoken) {
          break;
        }
      }
    } finally {
      // In the same turn as the decision to end: a `wake` between the two would start no sweep.
      this.#writes.endSweeps();
    }
  }

  /** Serves the clients that are behind and idle. Returns whether the next sweep can serve clients in replay. */
  async #sweep(startedAt: number): Promise<boolean> {
    const pages = new SweepPages(this.#view, pageBytes(this.#streamsNow(startedAt)));
    this.#writes.beginSweep();
    const replaying: Client[] = [];
    let now = startedAt;
    let sliceEnd = SLICE_WRITES;
    for (const client of this.#clients) {
      if (!this.#isDue(client, pages.head, now)) {
        continue;
      }
      if (!this.#isOfOtherLog(client) && !this.#view.isInMemory(client.cursor)) {
        replaying.push(client);
        continue;
      }
      if (pages.written >= sliceEnd) {
        sliceEnd += SLICE_WRITES;
        this.#observer.wrote(now);
        await this.#clock.turn();
        now = this.#clock.now();
        // During the pause this client may have left, or its token may have ended.
        if (!this.#clients.has(client) || !this.#isDue(client, pages.head, now)) {
          continue;
        }
      }
      this.#serve(client, pages, now);
    }
    this.#serveReplaying(replaying, pages, now);
    if (pages.written > 0) {
      this.#observer.wrote(now);
      this.#record.swept(pages.written, pages.head);
    }
    return this.#fetching < FETCHED_PAGES && replaying.some((client) => this.#isDue(client, pages.head, now));
  }

  /** Serves as many of these clients as one sweep may read for. Those that have waited longest come first. */
  #serveReplaying(clients: Client[], pages: SweepPages, now: number): void {
    clients.sort((a, b) => a.writtenAt - b.writtenAt);
    for (const client of clients) {
      const mayRead = pages.canReadMore && this.#fetching < FETCHED_PAGES;
      // To share the page of another client costs no read.
      const isServable = mayRead || pages.has(client.cursor, client.filter);
      if (isServable && this.#clients.has(client) && this.#isDue(client, pages.head, now)) {
        this.#serve(client, pages, now);
      }
    }
  }

  #serve(client: Client, pages: SweepPages, now: number): void {
    try {
      // Not earlier: the log may have been replaced during a pause of the sweep.
      if (this.#isOfOtherLog(client)) {
        this.#tellOtherLog(client);
        return;
      }
      const oldest = this.#view.oldest();
      if (client.cursor < oldest - 1) {
        this.#tellGap(client, oldest);
        return;
      }
      const page = pages.page(client.cursor, client.filter);
      if (page instanceof Promise) {
        void this.#fetch(client, page);
      } else {
        pages.written += page.bytes === null ? 0 : 1;
        this.#deliver(client, page, pages.head, now);
      }
    } catch (error) {
      this.#readFailed(client, error);
    }
  }

  /** Delivers a page that the view has to fetch first. No sweep waits for it. */
  async #fetch(client: Client, page: Promise<Page>): Promise<void> {
    const { cursor } = client;
    client.isFetching = true;
    this.#fetching++;
    try {
      const fetched = await page;
      // While the page was on its way, the client may have been told of a gap.
      if (this.#canTakeFetched(client) && client.cursor === cursor) {
        const now = this.#clock.now();
        this.#deliver(client, fetched, this.#view.head(), now);
        this.#observer.wrote(now);
      }
    } catch (error) {
      if (this.#canTakeFetched(client)) {
        this.#readFailed(client, error);
      }
    } finally {
      client.isFetching = false;
      this.#fetching--;
      this.wake();
    }
  }

  /** While a page was on its way, the client may have left, or the log may have been replaced. */
  #canTakeFetched(client: Client): boolean {
    return this.#clients.has(client) && client.pendingSince === null && !this.#isOfOtherLog(client);
  }

  #readFailed(client: Client, error: unknown): void {
    client.retryAt = this.#clock.now() + RETRY_READ_MS;
    this.#clock.after(RETRY_READ_MS, () => this.wake());
    this.#record.readFailed(client, error);
    this.write(client, errorFrame("log_read_failed", "The history cannot be read at the moment.", true));
  }

  #tellGap(client: Client, oldest: number): void {
    const requestedId = String(client.cursor);
    const gap: Gap = { reason: "expired", requestedId, oldest, latest: this.#view.head() };
    client.cursor = oldest - 1;
    client.lastSentId = client.cursor;
    this.#record.gap(client, gap);
    this.write(client, gapFrame(gap));
  }

  /** Whether the view shows another log since the client was told its name. */
  #isOfOtherLog(client: Client): boolean {
    return isOfOtherLog(client.generation, this.#view);
  }

  /** The client gets the name of the new log, and all events of it. */
  #tellOtherLog(client: Client): void {
    const gap = otherLogGap(client.cursor, this.#view);
    client.generation = this.#view.generation ?? 0;
    client.cursor = gap.oldest - 1;
    client.lastSentId = client.cursor;
    this.#record.gap(client, gap);
    this.write(client, openingFrames(client, this.#view.name, this.#settings, gap));
  }

  /** Moves the client past a page, and writes the page unless the filter hides all of it. */
  #deliver(client: Client, page: Page, head: number, now: number): void {
    client.cursor = page.cursor;
    const arrival = this.#arrival(client, head);
    if (page.bytes !== null) {
      client.lastSentId = page.lastId;
      const bytes = arrival === "" ? page.bytes : this.#joined(page.bytes, arrival);
      this.#writes.write(client, bytes, page, now);
    } else if (arrival !== "") {
      this.#writes.write(client, this.#encoder.encode(arrival), null, now);
    }
  }

  /** The frame that tells a client that it has caught up with the head; empty if it has not, or does not want to know. */
  #arrival(client: Client, head: number): string {
    if (!client.isCatchingUp || client.cursor < head) {
      return "";
    }
    client.isCatchingUp = false;
    return caughtUpFrame(client.cursor);
  }

  #joined(page: Uint8Array, frame: string): Uint8Array {
    const more = this.#encoder.encode(frame);
    const bytes = new Uint8Array(page.byteLength + more.byteLength);
    bytes.set(page);
    bytes.set(more, page.byteLength);
    return bytes;
  }

  /** The streams of this process. The count may be a second old, so it may lack some of this hub's own. */
  #streamsNow(now: number): number {
    return Math.max(this.#clients.size, this.#openStreams.count(now));
  }

  /** Whether a client is behind, idle, and allowed to get more events. */
  #isDue(client: Client, head: number, now: number): boolean {
    return (
      client.pendingSince === null &&
      !client.isFetching &&
      (client.cursor < head || this.#isOfOtherLog(client)) &&
      client.retryAt <= now &&
      now < client.tokenEndsAt
    );
  }

  #wakeIfBehind(client: Client): void {
    if (client.cursor < this.#view.head() || this.#isOfOtherLog(client)) {
      this.wake();
    }
  }
}
