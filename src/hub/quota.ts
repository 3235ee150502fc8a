import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";

/** How long a window lasts after the first use in it. */
const WINDOW_MS = 60_000;

/** The most windows that are kept. If an attacker uses more addresses than this, the oldest windows are forgotten. */
const MAX_WINDOWS = 10_000;

/** How many of them are forgotten together, so that a flood of new addresses does not tidy at every use. */
const FORGOTTEN_AT_ONCE = 1_000;

interface Window {
  startedAt: number;
  uses: number;
}

/**
 * Limits how often each key is used per minute. The counts are in memory only: an object that wakes starts from zero.
 */
export class Quota {
  readonly #limit: number;
  readonly #refusal: string;
  readonly #clock: Clock;
  /** In the order in which they started, so that finished windows come first. */
  readonly #windows = new Map<string, Window>();

  /**
   * @param limit uses in one window; 0 for no limit
   * @param refusal the error detail for a key that has reached the limit
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
   * Counts one use of a key. The key null has no limit.
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

  /** Forgets the finished windows, and the oldest others if there are too many. */
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
      // If the clock was set back, the uses still count, and nobody waits longer than one window.
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
