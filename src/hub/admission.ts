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

/**
 * Decides who gets a place. A dead client must not hold one: before anybody is refused, the quiet clients get a
 * heartbeat, and whoever waits then takes the places of those that turn out to be gone.
 */
export class Admission {
  readonly #door: Door;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<() => void>();
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
    if (!this.#door.hasPlace()) {
      await this.#waitForPlace();
      this.#refuseIfClosed();
    }
    if (!this.#door.hasPlace()) {
      throw this.#refusal("limit", "All connections of this channel are in use.");
    }
    take();
  }

  /** A place is free: who has waited longest takes it. */
  placeFreed(): void {
    const [longest] = this.#waiting;
    longest?.();
  }

  /** The door was closed: who waits need not. */
  closed(): void {
    // A set may lose members while it is walked.
    for (const waiting of this.#waiting) {
      waiting();
    }
  }

  async #waitForPlace(): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#probedAt >= PROBE_PAUSE_MS && this.#door.probe()) {
      this.#probedAt = now;
    }
    const left = this.#probedAt + PROBE_WAIT_MS - now;
    if (left <= 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(left, done);
      const waiting = this.#waiting;
      waiting.add(done);
      function done(): void {
        cancel();
        waiting.delete(done);
        resolve();
      }
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
