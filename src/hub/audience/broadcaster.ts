import type { Clock } from "../clock.ts";
import type { Filter } from "../filter.ts";
import type { Gap, LogView, Page } from "../log/log-view.ts";
import type { Client } from "./client.ts";
import { pageBytes } from "./page-size.ts";
import type { Registry } from "./registry.ts";
import { errorFrame, gapFrame, heartbeatFrame } from "./service-frames.ts";

/** Stop waiting for a sweep's writes if no client accepts one for this long. */
const PATIENCE_MS = 25;

/** The longest that a sweep waits, even if a client accepts a write now and then. */
const SWEEP_MS = 250;

/** Bytes that a sweep reads from the log for clients in replay. A small number keeps live clients live. */
const REPLAY_BYTES_PER_SWEEP = 512 * 1024;

/** How many pages may be on their way at a time, from a view that has to fetch them. */
const FETCHED_PAGES = 4;

/** How long a client is left out after a failed read of the log. */
const RETRY_READ_MS = 1_000;

/** What the broadcaster tells its audience. None of it may throw. */
export interface BroadcastObserver {
  /** A write was taken, and the client is idle again. The page is null for a frame of the service. */
  taken(client: Client, page: Page | null, now: number): void;
  /** Something was written. A client that does not take it must be noticed in time. */
  wrote(now: number): void;
  /** The client's stream refused a write. */
  lost(client: Client): void;
  /** A sweep gave pages to this many clients, up to this seq. */
  swept(clients: number, head: number): void;
  /** A client was told that events are missing. */
  gap(client: Client, gap: Gap): void;
  /** The log could not be read for a client. */
  readFailed(client: Client, error: unknown): void;
}

/**
 * Delivery by sweeps. A client is a cursor into the log. A sweep gives each client that is behind and idle the next page
 * after its cursor as one write, and the next sweep starts when these writes have been taken. A client that takes too
 * long is busy: no sweep waits for it, and it is left out until its write is taken. So replay and live are one thing,
 * load turns into batching, and a slow client delays nobody.
 */
export class Broadcaster {
  readonly #clients: Registry;
  readonly #view: LogView;
  readonly #clock: Clock;
  readonly #observer: BroadcastObserver;
  readonly #encoder = new TextEncoder();

  #running = false;
  #sweep = 0;
  #untaken = 0;
  /** Pages that were asked for and have not arrived: a view may have to fetch them. */
  #fetching = 0;
  #allTaken: () => void = () => {};

  constructor(clients: Registry, view: LogView, clock: Clock, observer: BroadcastObserver) {
    this.#clients = clients;
    this.#view = view;
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Stops waiting for a client that has left. */
  forget(client: Client): void {
    this.#settle(client);
  }

  /** Writes a frame of the service to an idle client. */
  write(client: Client, frame: string): void {
    const now = this.#clock.now();
    this.#write(client, this.#encoder.encode(frame), null, now);
    this.#observer.wrote(now);
  }

  /** Writes a heartbeat to an idle client. It carries the cursor if the filter has hidden events since the last id. */
  beat(client: Client): void {
    const hasHidden = client.cursor > client.toldCursor;
    client.toldCursor = client.cursor;
    this.write(client, heartbeatFrame(hasHidden ? client.cursor : null));
  }

  /** Starts sweeping, unless a sweep is running. Call it when there may be something to deliver. */
  wake(): void {
    if (!this.#running) {
      void this.#run();
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#clients.size > 0) {
        const startedAt = this.#clock.now();
        const more = this.#sweepOnce(startedAt);
        if (this.#untaken > 0) {
          await this.#taken(startedAt);
        } else if (more) {
          // Nothing to wait for, only more of the log to look at: everything else that is ready comes first.
          await this.#clock.turn();
        } else {
          break;
        }
      }
    } finally {
      // Synchronous with the decision to end: a `wake` in between would be lost.
      this.#running = false;
    }
  }

  /** Serves the clients that are behind and idle. Returns whether the next sweep can serve clients in replay. */
  #sweepOnce(now: number): boolean {
    const pages = new PageCache(this.#view, pageBytes(this.#clients.size));
    const canBeServed = (client: Client): boolean =>
      client.pendingSince === null &&
      !client.isFetching &&
      client.cursor < pages.head &&
      client.retryAt <= now &&
      now < client.tokenEndsAt;
    const replaying: Client[] = [];
    this.#sweep++;
    this.#untaken = 0;
    for (const client of this.#clients) {
      if (canBeServed(client)) {
        if (this.#view.isInMemory(client.cursor)) {
          this.#serve(client, pages, now);
        } else {
          replaying.push(client);
        }
      }
    }
    // The longest unserved come first. A client that shares the page of another one costs nothing.
    replaying.sort((a, b) => a.writtenAt - b.writtenAt);
    for (const client of replaying) {
      const isWithinBounds = pages.readBytes < REPLAY_BYTES_PER_SWEEP && this.#fetching < FETCHED_PAGES;
      if (isWithinBounds || pages.has(client.cursor, client.filter)) {
        this.#serve(client, pages, now);
      }
    }
    if (pages.given > 0) {
      this.#observer.wrote(now);
      this.#observer.swept(pages.given, pages.head);
    }
    return this.#fetching < FETCHED_PAGES && replaying.some(canBeServed);
  }

  #serve(client: Client, pages: PageCache, now: number): void {
    try {
      const oldest = this.#view.oldest();
      if (client.cursor < oldest - 1) {
        this.#tellGap(client, oldest);
        return;
      }
      const page = pages.page(client.cursor, client.filter);
      if (page instanceof Promise) {
        void this.#fetch(client, page);
      } else {
        pages.given += page.bytes === null ? 0 : 1;
        this.#deliver(client, page, now);
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
      // The client may have left, or have been told of a gap, while the page was on its way.
      if (this.#clients.has(client) && client.pendingSince === null && client.cursor === cursor) {
        const now = this.#clock.now();
        this.#deliver(client, fetched, now);
        this.#observer.wrote(now);
      }
    } catch (error) {
      if (this.#clients.has(client) && client.pendingSince === null) {
        this.#readFailed(client, error);
      }
    } finally {
      client.isFetching = false;
      this.#fetching--;
      this.wake();
    }
  }

  #readFailed(client: Client, error: unknown): void {
    client.retryAt = this.#clock.now() + RETRY_READ_MS;
    this.#clock.after(RETRY_READ_MS, () => this.wake());
    this.#observer.readFailed(client, error);
    this.write(client, errorFrame("log_read_failed", "The history cannot be read at the moment.", true));
  }

  #tellGap(client: Client, oldest: number): void {
    const gap: Gap = {
      reason: "expired",
      requestedId: String(client.cursor),
      oldest,
      latest: this.#view.head(),
    };
    client.cursor = oldest - 1;
    client.toldCursor = client.cursor;
    this.#observer.gap(client, gap);
    this.write(client, gapFrame(gap));
  }

  #deliver(client: Client, page: Page, now: number): void {
    client.cursor = page.cursor;
    if (page.bytes !== null) {
      client.toldCursor = page.lastId;
      this.#write(client, page.bytes, page, now);
    }
  }

  #write(client: Client, bytes: Uint8Array, page: Page | null, now: number): void {
    client.pendingSince = now;
    client.writtenAt = now;
    if (page !== null && !client.busy && !client.isFetching) {
      client.awaitedBy = this.#sweep;
      this.#untaken++;
    }
    const sweep = this.#sweep;
    hand(client, bytes).then(
      () => this.#onTaken(client, sweep, page),
      () => this.#observer.lost(client),
    );
  }

  #onTaken(client: Client, sweep: number, page: Page | null): void {
    const now = this.#clock.now();
    const isPrompt = now - (client.pendingSince ?? now) <= PATIENCE_MS;
    client.busy &&= !isPrompt && !(this.#running && sweep === this.#sweep);
    client.pendingSince = null;
    if (page !== null) {
      client.lastEventAt = now;
      client.eventsSent += page.events;
    }
    this.#observer.taken(client, page, now);
    this.#settle(client);
    if (client.cursor < this.#view.head()) {
      this.wake();
    }
  }

  #settle(client: Client): void {
    if (client.awaitedBy === this.#sweep) {
      client.awaitedBy = 0;
      this.#untaken--;
      if (this.#untaken === 0) {
        this.#allTaken();
      }
    }
  }

  /** Waits for the writes of this sweep as long as there is progress. The clients that are late then are busy. */
  async #taken(startedAt: number): Promise<void> {
    while (this.#untaken > 0) {
      const untaken = this.#untaken;
      if (await this.#allTakenInTime()) {
        return;
      }
      // The hub itself may have been held up. Writes that were taken meanwhile are reported in this turn.
      await this.#clock.turn();
      if (this.#untaken === untaken || this.#clock.now() - startedAt >= SWEEP_MS) {
        this.#giveUpOnTheLate();
        return;
      }
    }
  }

  #allTakenInTime(): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(PATIENCE_MS, () => resolve(false));
      this.#allTaken = () => {
        cancel();
        resolve(true);
      };
    });
  }

  #giveUpOnTheLate(): void {
    for (const client of this.#clients) {
      client.busy ||= client.awaitedBy === this.#sweep;
    }
  }
}

/** A stream that throws is treated as one that rejects, so that it harms its own client alone. */
function hand(client: Client, bytes: Uint8Array): Promise<void> {
  try {
    return client.stream.write(bytes);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The pages of one sweep. Clients at the same cursor with the same filter share one. */
class PageCache {
  readonly head: number;
  readonly #view: LogView;
  readonly #pageBytes: number;
  readonly #pages = new Map<Filter, Map<number, Page | Promise<Page>>>();
  /** What was read from the log, at most. */
  readBytes = 0;
  /** Writes that carried a page. */
  given = 0;

  constructor(view: LogView, maxBytes: number) {
    this.#view = view;
    this.#pageBytes = maxBytes;
    this.head = view.head();
  }

  has(cursor: number, filter: Filter): boolean {
    return this.#pages.get(filter)?.has(cursor) ?? false;
  }

  page(cursor: number, filter: Filter): Page | Promise<Page> {
    let byCursor = this.#pages.get(filter);
    if (byCursor === undefined) {
      byCursor = new Map();
      this.#pages.set(filter, byCursor);
    }
    let page = byCursor.get(cursor);
    if (page === undefined) {
      page = this.#view.page(cursor, filter, this.#pageBytes);
      byCursor.set(cursor, page);
      const isRead = !this.#view.isInMemory(cursor) && !(page instanceof Promise);
      this.readBytes += isRead ? this.#pageBytes : 0;
    }
    return page;
  }
}
