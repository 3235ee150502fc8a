import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";

const MINUTE_MS = 60_000;

/** Keys that are counted at a time: an attacker has many addresses. The oldest one is forgotten for a new one. */
const KEYS = 10_000;

/** Lets each key do something so often in a minute, which starts with the first time. Exact, and without timers. */
export class RateLimit {
  readonly #limit: number;
  readonly #clock: Clock;
  /** In the order of their starts. */
  readonly #minutes = new Map<string, { readonly startedAt: number; count: number }>();

  /** @param limit 0: none */
  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /**
   * Counts one more.
   *
   * @param key null: not limited
   * @throws HubError `rate_limited`, until the minute is over
   */
  take(key: string | null): void {
    if (key === null || this.#limit === 0) {
      return;
    }
    const now = this.#clock.now();
    this.#forgetBefore(now);
    const minute = this.#minutes.get(key) ?? { startedAt: now, count: 0 };
    if (minute.count >= this.#limit) {
      const retryAfterSeconds = Math.max(1, Math.ceil((minute.startedAt + MINUTE_MS - now) / 1_000));
      throw new HubError("rate_limited", "Too many requests in a minute.", { retryAfterSeconds });
    }
    minute.count++;
    this.#minutes.set(key, minute);
  }

  /** Also what starts in the future: the clock was set back, and nobody waits for that time to come round. */
  #forgetBefore(now: number): void {
    for (const [key, { startedAt }] of this.#minutes) {
      const isOver = now - startedAt >= MINUTE_MS || startedAt > now;
      if (!isOver && this.#minutes.size < KEYS) {
        return;
      }
      this.#minutes.delete(key);
    }
  }
}
