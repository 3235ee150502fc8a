const LEAST_MS = 100;
const FIRST_SPREAD_MS = 1_400;

/** The longest random part of a delay. A delay that the service asks for may be longer. */
export const LONGEST_WAIT_MS = 30_000;

/** The longest delay that a service may ask for. A timer of 2^31 ms or more would fire at once. */
const LONGEST_ASKED_MS = 24 * 3_600_000;

/**
 * The delays between attempts. Attempt n, counted from 0, waits 100 ms plus a random part of up to 1.4 s x 2^n and at
 * most 30 s. Most of the delay is random, so that a thousand clients that lost their streams together come back spread
 * out.
 */
export class Backoff {
  readonly #random: () => number;
  #attempt = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** @param askedMs the delay that the service asked for, which replaces this one unless it is below 100 ms */
  next(askedMs?: number): number {
    const spread = Math.min(LONGEST_WAIT_MS, FIRST_SPREAD_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    return askedMs !== undefined && askedMs >= LEAST_MS
      ? Math.min(askedMs, LONGEST_ASKED_MS)
      : LEAST_MS + this.#random() * spread;
  }

  reset(): void {
    this.#attempt = 0;
  }
}
