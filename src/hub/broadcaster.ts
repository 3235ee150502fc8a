import type { Client } from "./client.ts";
import type { Clock } from "./clock.ts";
import { pageBytes, type FrameFeed, type Page } from "./frame-feed.ts";
import type { Filter } from "./filter.ts";
import { errorFrame, gapFrame } from "./service-frames.ts";

/** A sweep that nobody has taken a write of for so long waits for nobody else. */
const PATIENCE_MS = 25;

/** Nor does a sweep last longer than this, though now and then somebody takes a write. */
const SWEEP_MS = 250;

/** Bytes that one sweep reads from the log for clients in replay, so that live ones stay live. */
const REPLAY_BYTES_PER_SWEEP = 512 * 1024;

/** After a failed read of the log a client is left out for so long. */
const RETRY_READ_MS = 1_000;

/** What the broadcaster tells its owner. Nothing of it may throw. */
export interface BroadcastObserver {
  /** A write was taken, and the client is idle again. The page is null for a frame of the service. */
  taken(client: Client, page: Page | null, now: number): void;
  /** Something was written: whoever does not take it is to be looked at in time. */
  wrote(now: number): void;
  /** A write was refused by the client's stream. */
  lost(client: Client): void;
  /** A sweep gave pages to so many clients, up to this seq. */
  swept(clients: number, head: number): void;
  /** A client was told of events that are not there. */
  gap(client: Client): void;
  /** The log could not be read for a client. */
  readFailed(client: Client, error: unknown): void;
}

/** Where the log stands. */
export interface Horizon {
  /** The last seq that is durable: nothing beyond it leaves the hub. */
  head(): number;
  /** The oldest seq that may be served. */
  oldest(): number;
}

/**
 * Delivery by sweeps. A client is a cursor into the log. A sweep gives each client that is behind and
 * idle the next page after its cursor as one write; the next sweep starts when this one's writes have been taken. A
 * client that takes too long is busy: no sweep waits for it, and it is left out until its write is taken. So replay and
 * live are one thing, load turns into batching, and a slow client delays nobody.
 */
export class Broadcaster {
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #feed: FrameFeed;
  readonly #horizon: Horizon;
  readonly #clock: Clock;
  readonly #observer: BroadcastObserver;
  readonly #encoder = new TextEncoder();

  #running = false;
  #sweep = 0;
  #untaken = 0;
  #allTaken: () => void = () => {};

  constructor(
    clients: ReadonlyMap<string, Client>,
    feed: FrameFeed,
    horizon: Horizon,
    clock: Clock,
    observer: BroadcastObserver,
  ) {
    this.#clients = clients;
    this.#feed = feed;
    this.#horizon = horizon;
    this.#clock = clock;
    this.#observer = observer;
  }

  /** A client has left: no sweep waits for it. */
  forget(client: Client): void {
    this.#settle(client);
  }

  /** Writes a frame of the service to an idle client. */
  write(client: Client, frame: string): void {
    const now = this.#clock.now();
    this.#write(client, this.#encoder.encode(frame), null, now);
    this.#observer.wrote(now);
  }

  /** There may be something to deliver. */
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
          // Nothing to wait for, only more of the log to look at: whoever else is ready comes first.
          await this.#clock.turn();
        } else {
          break;
        }
      }
    } finally {
      // In the same breath as the decision to end: a `wake` in between would be lost.
      this.#running = false;
    }
  }

  /** Serves whoever is behind and idle. Answers whether clients in replay are left that the next sweep can serve. */
  #sweepOnce(now: number): boolean {
    const pages = new PageCache(this.#feed, this.#horizon.head(), pageBytes(this.#clients.size));
    const canBeServed = (client: Client): boolean =>
      client.pendingSince === null &&
      client.cursor < pages.head &&
      client.retryAt <= now &&
      now < client.tokenEndsAt;
    const replaying: Client[] = [];
    this.#sweep++;
    this.#untaken = 0;
    for (const client of this.#clients.values()) {
      if (canBeServed(client)) {
        if (this.#feed.isRecent(client.cursor)) {
          this.#serve(client, pages, now);
        } else {
          replaying.push(client);
        }
      }
    }
    // The longest unserved first; whoever finds the page of another one pays nothing.
    replaying.sort((a, b) => a.writtenAt - b.writtenAt);
    for (const client of replaying) {
      if (pages.loggedBytes < REPLAY_BYTES_PER_SWEEP || pages.has(client.cursor, client.filter)) {
        this.#serve(client, pages, now);
      }
    }
    if (pages.given > 0) {
      this.#observer.wrote(now);
      this.#observer.swept(pages.given, pages.head);
    }
    return replaying.some(canBeServed);
  }

  #serve(client: Client, pages: PageCache, now: number): void {
    try {
      const oldest = this.#horizon.oldest();
      if (client.cursor < oldest - 1) {
        this.#tellGap(client, oldest);
      } else {
        this.#deliver(client, pages, now);
      }
    } catch (error) {
      client.retryAt = this.#clock.now() + RETRY_READ_MS;
      this.#clock.after(RETRY_READ_MS, () => this.wake());
      this.#observer.readFailed(client, error);
      this.write(client, errorFrame("log_read_failed", "The history cannot be read just now.", true));
    }
  }

  #tellGap(client: Client, oldest: number): void {
    const requestedId = String(client.cursor);
    client.cursor = oldest - 1;
    client.toldCursor = client.cursor;
    this.#observer.gap(client);
    this.write(client, gapFrame({ reason: "expired", requestedId, oldest, latest: this.#horizon.head() }));
  }

  #deliver(client: Client, pages: PageCache, now: number): void {
    const page = pages.page(client.cursor, client.filter);
    client.cursor = page.cursor;
    if (page.bytes !== null) {
      client.toldCursor = page.lastId;
      pages.given++;
      this.#write(client, page.bytes, page, now);
    }
  }

  #write(client: Client, bytes: Uint8Array, page: Page | null, now: number): void {
    client.pendingSince = now;
    client.writtenAt = now;
    if (page !== null && !client.busy) {
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
    if (client.cursor < this.#horizon.head()) {
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

  /** Waits for the writes of this sweep, as long as there is progress; who is late then is busy. */
  async #taken(startedAt: number): Promise<void> {
    while (this.#untaken > 0) {
      const untaken = this.#untaken;
      if (await this.#allTakenInTime()) {
        return;
      }
      // The hub itself may have been held up: writes that were taken meanwhile are heard of in this turn.
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
    for (const client of this.#clients.values()) {
      client.busy ||= client.awaitedBy === this.#sweep;
    }
  }
}

/** Whatever a stream does, it does to its client alone: a throw is a rejection. */
function hand(client: Client, bytes: Uint8Array): Promise<void> {
  try {
    return client.stream.write(bytes);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Clients at the same cursor with the same filter share one page of one sweep. */
class PageCache {
  readonly head: number;
  readonly #feed: FrameFeed;
  readonly #pageBytes: number;
  readonly #pages = new Map<Filter, Map<number, Page>>();
  /** What was read from the log so far, at most. */
  loggedBytes = 0;
  /** Writes that carried one. */
  given = 0;

  constructor(feed: FrameFeed, head: number, maxBytes: number) {
    this.#feed = feed;
    this.head = head;
    this.#pageBytes = maxBytes;
  }

  has(cursor: number, filter: Filter): boolean {
    return this.#pages.get(filter)?.has(cursor) ?? false;
  }

  page(cursor: number, filter: Filter): Page {
    let byCursor = this.#pages.get(filter);
    if (byCursor === undefined) {
      byCursor = new Map();
      this.#pages.set(filter, byCursor);
    }
    let page = byCursor.get(cursor);
    if (page === undefined) {
      page = this.#feed.page(cursor, this.head, filter, this.#pageBytes);
      byCursor.set(cursor, page);
      this.loggedBytes += this.#feed.isRecent(cursor) ? 0 : this.#pageBytes;
    }
    return page;
  }
}
