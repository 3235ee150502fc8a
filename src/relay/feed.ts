import type { Clock } from "../hub/clock.ts";
import { closedRefusal } from "../hub/closing.ts";
import { HubError } from "../hub/errors.ts";
import type { Logger } from "../hub/logger.ts";
import { Backoff } from "./backoff.ts";
import { FeedEnd, toFeedEnd, type GoodbyeReason } from "./feed-end.ts";
import { FeedReader } from "./feed-reader.ts";
import type { Tail } from "./tail.ts";
import type { FeedStart, Upstream } from "./upstream.ts";

/** How far in the past the first stream starts, so that clients that come from a dead relay find their events here. */
const FIRST_SINCE_MS = 30_000;

/** How long the hub may take to begin a stream. */
const OPEN_MS = 15_000;

/** After this many heartbeat intervals of silence a stream counts as dead. */
const SILENT_HEARTBEATS = 2.5;

/** After a stream has lived for this long, the next loss starts again with short delays. */
const HEALTHY_MS = 10_000;

/** After a refusal, a connect makes the feed try again at once if the refusal is at least this old. */
const REFUSAL_HOLDS_MS = 1_000;

/** What a feed tells its relay. None of these methods may throw. */
export interface FeedObserver {
  /** The tail has caught up with the hub: for the first time, or again after a loss. */
  attached(): void;
  /** A feed that was attached has lost its stream. Called once for each loss. */
  lost(since: number): void;
  /**
   * The clients have to leave: the hub accepts no streams, or it feeds another life of this relay. Called only if the
   * feed has attached. The feed is closed.
   */
  ended(reason: GoodbyeReason): void;
}

/** What a feed needs from the place where it runs. */
export interface FeedHost {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the hub sends a heartbeat, unless its stream says otherwise. */
  readonly heartbeatIntervalMs: number;
  random(): number;
}

/** One attempt to follow the hub. */
interface Attempt {
  readonly abort: AbortController;
  readonly reader: FeedReader;
  readonly startedAt: number;
  /** When the last frame ended. */
  heardAt: number;
  /** The head of the hub after the stream had begun; null if it is not known yet. */
  goal: number | null;
}

/**
 * Follows the stream of the hub and fills the tail. A stream that ends, fails, falls silent or sends anything that no hub
 * sends is given up, and the next one resumes after the last event.
 *
 * The feed uses timers only to wait for its next attempt. Timers of an idle object may not ring, so the relay's alarm
 * calls `check`, which makes an overdue attempt and notices a silent stream.
 */
export class Feed {
  readonly #upstream: Upstream;
  readonly #tail: Tail;
  readonly #observer: FeedObserver;
  readonly #host: FeedHost;
  readonly #backoff: Backoff;
  #parent: string | null = null;
  #isOpen = false;
  #attempt: Attempt | null = null;
  #wait: { at: number; readonly since: number; readonly cancel: () => void } | null = null;
  /** Resolves when the feed attaches for the first time since it was opened. */
  #first: PromiseWithResolvers<void> | null = null;
  #refusal: HubError | null = null;
  #hasAttached = false;
  #attachedAt: number | null = null;
  #lostSince: number | null = null;
  /** The last loss that was logged since the feed was healthy. */
  #logged = "";

  constructor(upstream: Upstream, tail: Tail, observer: FeedObserver, host: FeedHost) {
    this.#upstream = upstream;
    this.#tail = tail;
    this.#observer = observer;
    this.#host = host;
    this.#backoff = new Backoff(() => host.random());
  }

  /** `waiting` is for the next attempt. `catching_up` has a stream that has not reached the head of the hub yet. */
  get state(): "closed" | "waiting" | "opening" | "catching_up" | "attached" {
    if (!this.#isOpen) {
      return "closed";
    }
    if (this.#attempt === null) {
      return "waiting";
    }
    if (!this.#attempt.reader.isOpen) {
      return "opening";
    }
    return this.#attachedAt === null ? "catching_up" : "attached";
  }

  /** Whether the feed has attached since it was opened. From then on, clients can do without the hub. */
  get hasAttached(): boolean {
    return this.#hasAttached;
  }

  /** Since when a feed that was attached has been without the hub; null if it is attached or never was. */
  get lostSince(): number | null {
    return this.#lostSince;
  }

  /**
   * Opens the feed, unless it is open. Resolves when it has attached for the first time; without a limit of time.
   *
   * @throws HubError what the hub refuses, before the feed has attached
   */
  attach(): Promise<void> {
    if (this.#hasAttached) {
      return Promise.resolve();
    }
    const { promise } = (this.#first ??= withoutComplaint());
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#backoff.reset();
      this.#try();
    } else if (this.#refusal !== null && this.#wait !== null) {
      if (Math.abs(this.#now() - this.#wait.since) < REFUSAL_HOLDS_MS) {
        return Promise.reject(this.#refusal);
      }
      this.#try();
    }
    return promise;
  }

  /** Ends the stream. The tail stays as it is. */
  close(): void {
    this.#isOpen = false;
    this.#stop();
    this.#hasAttached = false;
    this.#lostSince = null;
    this.#refusal = null;
    this.#logged = "";
    this.#refuse(new HubError("hub_unreachable", "The relay has ended its stream of this channel."));
  }

  /** Follows another stream from now on: that of this relay, or for null that of the hub. */
  follow(parent: string | null): void {
    if (parent !== this.#parent) {
      this.#parent = parent;
      this.reopen();
    }
  }

  /** Ends the stream and soon opens another, because the hub says that it has none to this relay. */
  reopen(): void {
    if (this.#attempt?.reader.isOpen === true) {
      this.#end(this.#attempt, new FeedEnd("ended", "the hub has no stream to this relay"));
    }
  }

  /** What the alarm does for the feed: gives a silent stream up, and makes an attempt that is overdue. */
  check(now: number): void {
    const attempt = this.#attempt;
    if (attempt !== null) {
      // If the clock was set back, the silence is measured from here on.
      attempt.heardAt = Math.min(attempt.heardAt, now);
      if (now >= this.#silentAt(attempt)) {
        this.#end(attempt, new FeedEnd("silent", "the hub has sent nothing for too long"));
      }
    } else if (this.#wait !== null) {
      const { at, since } = this.#wait;
      this.#wait.at = now < since ? Math.min(at, now + (at - since)) : at;
      if (now >= this.#wait.at) {
        this.#try();
      }
    }
  }

  /** When `check` has something to do next, in ms since the epoch; Infinity if nothing is due. */
  nextDue(): number {
    return this.#attempt === null ? (this.#wait?.at ?? Infinity) : this.#silentAt(this.#attempt);
  }

  #silentAt({ reader, startedAt, heardAt }: Attempt): number {
    // Frames before `connected` do not count.
    return reader.isOpen
      ? heardAt + SILENT_HEARTBEATS * reader.heartbeatMs
      : Math.min(startedAt, heardAt) + OPEN_MS;
  }

  #try(): void {
    this.#stop();
    this.#refusal = null;
    const now = this.#now();
    const reader = new FeedReader(this.#tail, this.#hasAttached, this.#host.heartbeatIntervalMs);
    const attempt = { abort: new AbortController(), reader, startedAt: now, heardAt: now, goal: null };
    this.#attempt = attempt;
    void this.#follow(attempt, this.#start(now));
  }

  /** A feed that was closed starts anew: in the meantime the hub may have stored more than the tail holds. */
  #start(now: number): FeedStart {
    const resumes = this.#hasAttached;
    return {
      cursor: resumes ? this.#tail.head() : null,
      logName: resumes ? this.#tail.name : null,
      since: now - FIRST_SINCE_MS,
      parent: this.#parent,
    };
  }

  async #follow(attempt: Attempt, start: FeedStart): Promise<void> {
    try {
      const stream = await this.#upstream.open(start, attempt.abort.signal);
      await this.#read(attempt, stream);
      throw new FeedEnd("ended", "the stream of the hub has ended");
    } catch (error) {
      this.#refusal = error instanceof HubError && this.#attempt === attempt ? error : this.#refusal;
      this.#end(attempt, toFeedEnd(error));
    }
  }

  async #read(attempt: Attempt, stream: ReadableStream<Uint8Array>): Promise<void> {
    const reader = stream.getReader();
    const { signal } = attempt.abort;
    // Not every stream obeys the signal with which it was opened.
    const cancel = (): void => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cancel);
    try {
      while (!signal.aborted) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) {
          return;
        }
        this.#take(attempt, value);
      }
    } finally {
      cancel();
    }
  }

  #take(attempt: Attempt, chunk: Uint8Array): void {
    const { generation } = this.#tail;
    const wasOpen = attempt.reader.isOpen;
    if (attempt.reader.read(chunk)) {
      attempt.heardAt = this.#now();
    }
    const isBegun = attempt.reader.isOpen && !wasOpen;
    if (isBegun || this.#tail.generation !== generation) {
      void this.#findGoal(attempt);
    }
    this.#attachIfCaughtUp(attempt);
  }

  /** Asks how far the tail has to come. Without an answer, the stream is given up. */
  async #findGoal(attempt: Attempt): Promise<void> {
    attempt.goal = null;
    const { generation } = this.#tail;
    try {
      const goal = await this.#tail.askHead();
      if (generation === this.#tail.generation) {
        attempt.goal = goal;
        this.#attachIfCaughtUp(attempt);
      }
    } catch (error) {
      this.#end(attempt, toFeedEnd(error));
    }
  }

  #attachIfCaughtUp(attempt: Attempt): void {
    const { goal } = attempt;
    if (attempt !== this.#attempt || this.#attachedAt !== null || goal === null || this.#tail.head() < goal) {
      return;
    }
    this.#attachedAt = this.#now();
    this.#hasAttached = true;
    this.#lostSince = null;
    this.#host.logger("info", "feed_attached", { log: this.#tail.name, head: this.#tail.head() });
    this.#first?.resolve();
    this.#first = null;
    this.#observer.attached();
  }

  /** Gives an attempt up, and waits for the next one. */
  #end(attempt: Attempt, end: FeedEnd): void {
    if (attempt !== this.#attempt) {
      return;
    }
    const now = this.#now();
    const wasAttached = this.#attachedAt !== null;
    if (this.#attachedAt !== null && now - this.#attachedAt >= HEALTHY_MS) {
      this.#backoff.reset();
      this.#logged = "";
    }
    this.#stop();
    this.#log(end);
    if (end.goodbye !== null) {
      this.#leave(end.goodbye);
      return;
    }
    const delayMs = this.#backoff.next(end.retryAfterMs);
    this.#wait = {
      at: now + delayMs,
      since: now,
      cancel: this.#host.clock.after(delayMs, () => this.#try()),
    };
    if (this.#refusal !== null) {
      this.#refuse(this.#refusal);
    }
    if (wasAttached) {
      this.#lostSince = now;
      this.#observer.lost(now);
    }
  }

  #leave(reason: GoodbyeReason): void {
    const hadAttached = this.#hasAttached;
    this.#refuse(closedRefusal(reason === "shutdown" ? "shutting_down" : "draining"));
    this.close();
    if (hadAttached) {
      this.#observer.ended(reason);
    }
  }

  /** A hub that stays away is logged once, and again if the reason changes. */
  #log({ reason, message }: FeedEnd): void {
    if (reason !== this.#logged) {
      this.#logged = reason;
      this.#host.logger("warn", "feed_lost", { reason, error: message });
    }
  }

  #refuse(refusal: HubError): void {
    this.#first?.reject(refusal);
    this.#first = null;
  }

  /** Ends the attempt and the wait, if there is one. */
  #stop(): void {
    this.#wait?.cancel();
    this.#wait = null;
    this.#attempt?.abort.abort();
    this.#attempt = null;
    this.#attachedAt = null;
  }

  #now(): number {
    return this.#host.clock.now();
  }
}

/** A promise that may be rejected when nobody waits for it any more. */
function withoutComplaint(): PromiseWithResolvers<void> {
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {});
  return first;
}
