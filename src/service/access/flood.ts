import type { Clock } from "../../hub/clock.ts";
import { HubError } from "../../hub/errors.ts";

/** Addresses that are remembered: an attacker has many. The oldest one is forgotten for a new one. */
const ADDRESSES = 10_000;

/** The longest that a hub refuses for. */
const PERIOD_SECONDS = 60;

/**
 * Remembers which addresses a hub has refused for their number of connects. A flood ends here and costs the hub nothing.
 * The count is the hub's.
 */
export class FloodMemory {
  readonly #clock: Pick<Clock, "now">;
  /** Until when a hub lets an address in no more, by channel and address. */
  readonly #refusedUntil = new Map<string, number>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /**
   * Asks a hub for a stream, unless the address has used up its connects.
   *
   * @param address null: not limited
   * @throws HubError `rate_limited`, and what the hub throws
   */
  async unlessFlooding(
    channel: string,
    address: string | null,
    ask: () => Promise<Response>,
  ): Promise<Response> {
    if (address === null) {
      return ask();
    }
    const key = `${channel} ${address}`;
    const leftMs = (this.#refusedUntil.get(key) ?? 0) - this.#clock.now();
    // A clock can be set back: nobody waits for that time to come round.
    if (leftMs > 0 && leftMs <= PERIOD_SECONDS * 1_000) {
      const detail = "This address has asked for too many streams in a minute.";
      throw new HubError("rate_limited", detail, { retryAfterSeconds: Math.ceil(leftMs / 1_000) });
    }
    try {
      return await ask();
    } catch (error) {
      if (error instanceof HubError && error.code === "rate_limited") {
        this.#remember(key, error.retryAfterSeconds ?? 0);
      }
      throw error;
    }
  }

  #remember(key: string, seconds: number): void {
    const [oldest] = this.#refusedUntil.keys();
    this.#refusedUntil.delete(key);
    if (oldest !== undefined && this.#refusedUntil.size >= ADDRESSES) {
      this.#refusedUntil.delete(oldest);
    }
    this.#refusedUntil.set(key, this.#clock.now() + seconds * 1_000);
  }
}
