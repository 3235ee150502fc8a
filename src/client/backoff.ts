const LEAST_MS = 100;
const FIRST_SPREAD_MS = 1_400;

/** No wait for another attempt is longer, but for one that the service has asked for. */
export const LONGEST_WAIT_MS = 30_000;

/** What a service asks for is obeyed up to here. Also keeps timers below 2^31 ms, at which they would fire at once. */
const LONGEST_ASKED_MS = 24 * 3_600_000;

/**
 * How long to wait before attempt n, from 0: 100 ms, and a random part of up to 1.4 s x 2^n, 30 s at most. The random
 * part is most of it: a thousand clients that lost their streams at once do not come back at once.
 */
export class Backoff {
  readonly #random: () => number;
  #attempt = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next delay in milliseconds. One that the service has asked for, if it is one, replaces it this once. */
  next(askedMs?: number): number {
    const spread = Math.min(LONGEST_WAIT_MS, FIRST_SPREAD_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    return askedMs !== undefined && askedMs >= LEAST_MS
      ? Math.min(askedMs, LONGEST_ASKED_MS)
      : LEAST_MS + this.#random() * spread;
  }

  /** Starts over with attempt 0. */
  reset(): void {
    this.#attempt = 0;
  }
}
