import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";

/** A window lasts so long from the first use in it. */
const WINDOW_MS = 60_000;

/** Windows that are kept at most. Whoever comes from more addresses than that makes the hub forget the oldest ones. */
const MAX_WINDOWS = 10_000;

/** How many are forgotten at once then: to find the oldest costs as much for one as for many. */
const FORGOTTEN_AT_ONCE = 1_000;

interface Window {
  startedAt: number;
  uses: number;
}

/** Lets each key be used so often in a minute. Kept in memory only: an object that wakes again starts anew. */
export class Quota {
  readonly #limit: number;
  readonly #refusal: string;
  readonly #clock: Clock;
  /** In the order in which they began: those that are over come first. */
  readonly #windows = new Map<string, Window>();

  /**
   * @param limit uses in one window; 0: not limited.
   * @param refusal what a key is told that has used them up.
   */
  constructor(limit: number, refusal: string, clock: Clock) {
    this.#limit = limit;
    this.#refusal = refusal;
    this.#clock = clock;
  }

  /** How many windows are kept. */
  get size(): number {
    return this.#windows.size;
  }

  /**
   * Uses a key once. The key null is not limited.
   *
   * @throws HubError `rate_limited`
   */
  use(key: string | null): void {
    if (key === null || this.#limit === 0) {
      return;
    }
    const now = this.#clock.now();
    const window = this.#windowOf(key, now);
    if (window.uses >= this.#limit) {
      const retryAfterSeconds = Math.ceil((window.startedAt + WINDOW_MS - now) / 1_000);
      throw new HubError("rate_limited", this.#refusal, { retryAfterSeconds });
    }
    window.uses++;
  }

  /** Forgets the windows that are over; and the oldest of the others, where there is no room for one more. */
  tidy(): void {
    const now = this.#clock.now();
    const kept = this.#windows.size < MAX_WINDOWS ? MAX_WINDOWS : MAX_WINDOWS - FORGOTTEN_AT_ONCE;
    for (const [key, window] of this.#windows) {
      if (this.#windows.size <= kept && !isOver(window, now)) {
        return;
      }
      this.#windows.delete(key);
    }
  }

  #windowOf(key: string, now: number): Window {
    const current = this.#windows.get(key);
    if (current !== undefined && !isOver(current, now)) {
      // A clock can be set back: no use is forgotten then, and nobody waits for longer than a window.
      current.startedAt = Math.min(current.startedAt, now);
      return current;
    }
    this.#windows.delete(key);
    if (this.#windows.size >= MAX_WINDOWS) {
      this.tidy();
    }
    const window = { startedAt: now, uses: 0 };
    this.#windows.set(key, window);
    return window;
  }
}

function isOver({ startedAt }: Window, now: number): boolean {
  return now - startedAt >= WINDOW_MS;
}
