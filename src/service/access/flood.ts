import type { Clock } from "../../hub/clock.ts";
import { HubError } from "../../hub/errors.ts";
import { Deadlines } from "./deadlines.ts";

/** How many refusals are remembered. An attacker can have more addresses than memory has room for. */
const REFUSALS = 10_000;

/** The longest time for which a hub refuses an address. */
const PERIOD_SECONDS = 60;

/**
 * Remembers which addresses a hub has refused because of their number of connects, so that a flood does not reach the
 * hub any more. The hub itself does the counting.
 */
export class FloodMemory {
  readonly #clock: Pick<Clock, "now">;
  /** When a hub accepts connects of an address again, by channel and address. */
  readonly #refusedUntil = new Deadlines(REFUSALS);

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /**
   * Asks a hub for a stream, unless the hub has refused this address a short time ago.
   *
   * @param address null if the address is not limited
   * @throws HubError `rate_limited`, and whatever the hub throws
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
    const leftMs = this.#refusedUntil.of(key) - this.#clock.now();
    // After the clock was set back, an old refusal must not last until its time comes round again.
    if (leftMs > 0 && leftMs <= PERIOD_SECONDS * 1_000) {
      const detail = "This address has asked for too many streams of this channel in the last minute.";
      throw new HubError("rate_limited", detail, { retryAfterSeconds: Math.ceil(leftMs / 1_000) });
    }
    try {
      return await ask();
    } catch (error) {
      if (error instanceof HubError && error.code === "rate_limited") {
        this.#refusedUntil.set(key, this.#clock.now() + (error.retryAfterSeconds ?? 0) * 1_000);
      }
      throw error;
    }
  }
}
