import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { RateLimit } from "./rate-limit.ts";

/** Connects that find no place wait so long at most for a dead client to be noticed. */
const PROBE_WAIT_MS = 250;

/** Dead clients are looked for once in so long at most, however many connects are refused. */
const PROBE_PAUSE_MS = 1_000;

/** Refusals are logged at once, and then summed up for so long. */
const REFUSAL_LOG_MS = 1_000;

/** What a client is told that finds no place. */
const LACKS = {
  limit: "All connections of this channel are in use.",
  address_limit: "All connections that this channel grants to one address are in use.",
} as const;

/** What the admission needs to know and to do. */
export interface Door {
  /** Why nobody is let in, whatever place there is; null: open. */
  closedBecause(): "draining" | "shutting_down" | null;
  /** What a client of this address lacks to be let in; null: nothing. */
  lack(address: string | null): "limit" | "address_limit" | null;
  /** Sends bytes to whoever was not written to for 1 s: a dead one answers by leaving. False: nobody to ask. */
  probe(): boolean;
}

/** A connect that waits for a place. */
interface Waiting {
  readonly address: string | null;
  readonly take: () => void;
  readonly done: (hasTaken: boolean) => void;
}

/**
 * Decides who gets a place. A dead client must not hold one: before anybody is refused, the quiet clients get a
 * heartbeat, and whoever waits then takes the places of those that turn out to be gone.
 */
export class Admission {
  readonly #door: Door;
  readonly #rate: RateLimit;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<Waiting>();
  #probedAt = Number.NEGATIVE_INFINITY;
  readonly #refusals = new Map<string, number>();

  /** @param rate of connects by address */
  constructor(door: Door, rate: RateLimit, clock: Clock, log: Logger) {
    this.#door = door;
    this.#rate = rate;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Refuses whom no place could help, before anything is done for them.
   *
   * @throws HubError `draining`, `shutting_down` or `rate_limited`
   */
  knock(address: string | null): void {
    this.#refuseIfClosed();
    try {
      this.#rate.take(address);
    } catch (error) {
      throw error instanceof HubError ? this.#refused(error) : error;
    }
  }

  /**
   * Takes a place, as soon as there is one. Nothing waits between looking and taking: so the limit is exact.
   *
   * @throws HubError `limit`, `address_limit`, `draining` or `shutting_down`
   */
  async enter(address: string | null, take: () => void): Promise<void> {
    this.#refuseIfClosed();
    const lack = this.#door.lack(address);
    if (lack === null) {
      take();
      return;
    }
    const hasTaken = await this.#waitForPlace(address, take);
    this.#refuseIfClosed();
    if (!hasTaken) {
      throw this.#refused(new HubError(lack, LACKS[lack]));
    }
  }

  /** A place is free: who has waited longest and fits takes it at once, before anybody who comes later. */
  placeFreed(): void {
    if (this.#door.closedBecause() !== null) {
      return;
    }
    for (const waiting of this.#waiting) {
      if (this.#door.lack(waiting.address) === null) {
        waiting.take();
        waiting.done(true);
        return;
      }
    }
  }

  /** The door was closed: who waits need not. */
  closed(): void {
    for (const waiting of this.#waiting) {
      waiting.done(false);
    }
  }

  /** Answers whether a place was taken in time. */
  async #waitForPlace(address: string | null, take: () => void): Promise<boolean> {
    const now = this.#clock.now();
    // A clock can be set back: then the last look is due again, and nobody waits for that time to come round.
    const isDue = now < this.#probedAt || now - this.#probedAt >= PROBE_PAUSE_MS;
    if (isDue && this.#door.probe()) {
      this.#probedAt = now;
    }
    const left = Math.min(this.#probedAt + PROBE_WAIT_MS - now, PROBE_WAIT_MS);
    if (left <= 0) {
      return false;
    }
    return new Promise((resolve) => {
      const waiting: Waiting = {
        address,
        take,
        done: (hasTaken) => {
          cancel();
          this.#waiting.delete(waiting);
          resolve(hasTaken);
        },
      };
      const cancel = this.#clock.after(left, () => waiting.done(false));
      this.#waiting.add(waiting);
    });
  }

  #refuseIfClosed(): void {
    const reason = this.#door.closedBecause();
    if (reason === "draining") {
      const detail = "This channel is being drained and takes no streams just now.";
      throw this.#refused(new HubError(reason, detail));
    }
    if (reason === "shutting_down") {
      throw this.#refused(new HubError(reason, "The service is shutting down."));
    }
  }

  #refused(refusal: HubError): HubError {
    const { code } = refusal;
    const summed = this.#refusals.get(code);
    if (summed === undefined) {
      this.#logRefusals(code, 1);
      this.#refusals.set(code, 0);
      this.#sumUp(code);
    } else {
      this.#refusals.set(code, summed + 1);
    }
    return refusal;
  }

  #sumUp(code: string): void {
    this.#clock.after(REFUSAL_LOG_MS, () => {
      const summed = this.#refusals.get(code) ?? 0;
      this.#refusals.delete(code);
      if (summed > 0) {
        this.#refusals.set(code, 0);
        this.#logRefusals(code, summed);
        this.#sumUp(code);
      }
    });
  }

  #logRefusals(code: string, count: number): void {
    this.#log("warn", code === "limit" ? "limit_reached" : "connect_refused", { code, count });
  }
}
