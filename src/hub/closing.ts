import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";
import type { Logger } from "./logger.ts";

const DETAILS = {
  draining: "This channel is draining and accepts no streams at the moment.",
  shutting_down: "The service is shutting down.",
} as const;

/** The refusal of a channel, or of the whole service, that accepts no streams. */
export function closedRefusal(reason: "draining" | "shutting_down"): HubError {
  return new HubError(reason, DETAILS[reason]);
}

/** The parts of the host that a closing uses. */
export interface ClosingHost {
  readonly clock: Clock;
  /** Stores the end of the drain, which has to survive restarts of the object; null ends the drain. */
  saveDrain(until: number | null): void;
}

/** Whether a hub accepts streams and events. A drain ends by itself, a stop does not. */
export class Closing {
  readonly #host: ClosingHost;
  readonly #logger: Logger;
  #drainUntil: number | null = null;
  #stopping: "no" | "streams" | "all" = "no";

  constructor(host: ClosingHost, logger: Logger) {
    this.#host = host;
    this.#logger = logger;
  }

  /** Takes over a drain from an earlier life of the hub. */
  restore(drainUntil: number | null): void {
    this.#drainUntil = drainUntil;
  }

  /** Why the hub accepts no streams; null if it does. */
  get reason(): "draining" | "shutting_down" | null {
    if (this.#stopping !== "no") {
      return "shutting_down";
    }
    return this.#drainUntil !== null && this.#host.clock.now() < this.#drainUntil ? "draining" : null;
  }

  /** When the drain ends; null if the channel is not draining. */
  get drainUntil(): number | null {
    return this.reason === "draining" ? this.#drainUntil : null;
  }

  /** When the drain has to be ended, in ms since the epoch; Infinity if the channel is not draining. */
  nextDue(): number {
    return this.drainUntil ?? Number.POSITIVE_INFINITY;
  }

  /** @throws HubError `draining` or `shutting_down` */
  requireOpenToStreams(): void {
    const reason = this.reason;
    if (reason !== null) {
      throw closedRefusal(reason);
    }
  }

  /** @throws HubError `shutting_down` */
  requireOpenToPublishes(): void {
    if (this.#stopping === "all") {
      throw closedRefusal("shutting_down");
    }
  }

  drain(until: number): void {
    this.#drainUntil = until;
    this.#host.saveDrain(until);
  }

  /** Ends a drain. */
  resume(): void {
    if (this.#drainUntil !== null) {
      this.#drainUntil = null;
      this.#host.saveDrain(null);
      this.#logger("info", "drain_ended");
    }
  }

  /** Ends a drain whose time is over. */
  resumeIfOver(): void {
    if (this.#drainUntil !== null && this.#host.clock.now() >= this.#drainUntil) {
      this.resume();
    }
  }

  /** Refuses streams from now on. */
  stopStreams(): void {
    this.#stopping = this.#stopping === "no" ? "streams" : this.#stopping;
  }

  /** Refuses streams and publishes from now on. */
  stopPublishes(): void {
    this.#stopping = "all";
  }
}
