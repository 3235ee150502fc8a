import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** Connects that find no place wait so long at most for a dead client to be noticed. */
const PROBE_WAIT_MS = 250;

/** Dead clients are looked for once in so long at most, however many connects are refused. */
const PROBE_PAUSE_MS = 1_000;

/** Refusals are logged at once, and then summed up for so long. */
const REFUSAL_LOG_MS = 1_000;

/** What the admission needs to know and to do. */
export interface Door {
  /** Why nobody is let in, whatever place there is; null: open. */
  closedBecause(): "draining" | "shutting_down" | null;
  hasPlace(): boolean;
  /** Sends bytes to whoever was not written to for 1 s: a dead one answers by leaving. False: nobody to ask. */
  probe(): boolean;
}

/** A connect that waits for a place. */
interface Waiting {
  readonly take: () => void;
  readonly done: (hasTaken: boolean) => void;
}

/**
 * Decides who gets a place. A dead client must not hold one: before anybody is refused, the quiet clients get a
 * heartbeat, and whoever waits then takes the places of those that turn out to be gone.
 */
export class Admission {
  readonly #door: Door;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<Waiting>();
  #probedAt = Number.NEGATIVE_INFINITY;
  readonly #refused = new Map<string, number>();

  constructor(door: Door, clock: Clock, log: Logger) {
    this.#door = door;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Takes a place, as soon as there is one. Nothing waits between looking and taking: so the limit is exact.
   *
   * @throws HubError `limit`, `draining` or `shutting_down`
   */
  async enter(take: () => void): Promise<void> {
    this.#refuseIfClosed();
    if (this.#door.hasPlace()) {
      take();
      return;
    }
    const hasTaken = await this.#waitForPlace(take);
    this.#refuseIfClosed();
    if (!hasTaken) {
      throw this.#refusal("limit", "All connections of this channel are in use.");
    }
  }

  /** A place is free: who has waited longest takes it at once, before anybody who comes later. */
  placeFreed(): void {
    const [longest] = this.#waiting;
    if (longest !== undefined && this.#door.closedBecause() === null && this.#door.hasPlace()) {
      longest.take();
      longest.done(true);
    }
  }

  /** The door was closed: who waits need not. */
  closed(): void {
    for (const waiting of this.#waiting) {
      waiting.done(false);
    }
  }

  /** Answers whether a place was taken in time. */
  async #waitForPlace(take: () => void): Promise<boolean> {
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
      throw this.#refusal(reason, "This channel is being drained and takes no streams just now.");
    }
    if (reason === "shutting_down") {
      throw this.#refusal(reason, "The service is shutting down.");
    }
  }

  #refusal(code: "limit" | "draining" | "shutting_down", detail: string): HubError {
    const summed = this.#refused.get(code);
    if (summed === undefined) {
      this.#logRefusals(code, 1);
      this.#refused.set(code, 0);
      this.#sumUp(code);
    } else {
      this.#refused.set(code, summed + 1);
    }
    return new HubError(code, detail);
  }

  #sumUp(code: string): void {
    this.#clock.after(REFUSAL_LOG_MS, () => {
      const summed = this.#refused.get(code) ?? 0;
      this.#refused.delete(code);
      if (summed > 0) {
        this.#refused.set(code, 0);
        this.#logRefusals(code, summed);
        this.#sumUp(code);
      }
    });
  }

  #logRefusals(code: string, count: number): void {
    this.#log("warn", code === "limit" ? "limit_reached" : "connect_refused", { code, count });
  }
}
