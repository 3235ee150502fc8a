const LEAST_MS = 100;
const FIRST_SPREAD_MS = 500;

/** The longest random part of a delay. A delay that the hub asks for may be longer. */
const LONGEST_SPREAD_MS = 10_000;

/** The longest delay that a hub may ask for. */
const LONGEST_ASKED_MS = 3_600_000;

/**
 * The delays between the attempts of a feed. Attempt n, counted from 0, waits 100 ms plus a random part of up to 0.5 s x
 * 2^n and at most 10 s, so that the relays of a hub that was restarted come back spread out.
 */
export class Backoff {
  readonly #random: () => number;
  #attempt = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** @param askedMs the delay that the hub asked for, to which the delay of the attempt is added */
  next(askedMs = 0): number {
    const spread = Math.min(LONGEST_SPREAD_MS, FIRST_SPREAD_MS * 2 ** this.#attempt);
    this.#attempt++;
    return Math.min(Math.max(0, askedMs), LONGEST_ASKED_MS) + LEAST_MS + this.#random() * spread;
  }

  reset(): void {
    this.#attempt = 0;
  }
}
