import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";
import type { Logger } from "./logger.ts";

const DETAILS = {
  draining: "This channel is being drained and takes no streams at the moment.",
  shutting_down: "The service is shutting down.",
} as const;

/** The refusal of a channel, or of the whole service, that lets no stream in. */
export function closedRefusal(reason: "draining" | "shutting_down"): HubError {
  return new HubError(reason, DETAILS[reason]);
}

/** What a closing needs from where it runs. */
export interface ClosingHost {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keeps until when the channel is drained, across restarts of the object; null: not at all. */
  saveDrain(until: number | null): void;
}

/** Whether a hub takes streams and events: a drain ends by itself, a stop does not. */
export class Closing {
  readonly #host: ClosingHost;
  #drainUntil: number | null = null;
  #stopping: "no" | "streams" | "all" = "no";

  constructor(host: ClosingHost) {
    this.#host = host;
  }

  /** Takes over a drain of an earlier life of the hub. */
  restore(drainUntil: number | null): void {
    this.#drainUntil = drainUntil;
  }

  /** Why no stream is let in; null: it is. */
  get because(): "draining" | "shutting_down" | null {
    if (this.#stopping !== "no") {
      return "shutting_down";
    }
    return this.#drainUntil !== null && this.#host.clock.now() < this.#drainUntil ? "draining" : null;
  }

  /** Until when the channel is drained; null: it is not. */
  get drainUntil(): number | null {
    return this.because === "draining" ? this.#drainUntil : null;
  }

  /** @throws HubError `draining` or `shutting_down` */
  requireOpenToStreams(): void {
    const reason = this.because;
    if (reason !== null) {
      throw closedRefusal(reason);
    }
  }

  /** @throws HubError `shutting_down` */
  requireOpenToEvents(): void {
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
      this.#host.logger("info", "drain_ended");
    }
  }

  /** Ends a drain whose time is over. */
  resumeIfOver(now: number): void {
    if (this.#drainUntil !== null && now >= this.#drainUntil) {
      this.resume();
    }
  }

  /** From now on no stream is let in. */
  stop(): void {
    this.#stopping = this.#stopping === "no" ? "streams" : this.#stopping;
  }

  /** From now on nothing is published either. */
  complete(): void {
    this.#stopping = "all";
  }
}
