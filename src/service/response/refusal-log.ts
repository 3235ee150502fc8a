import type { Clock } from "../../hub/clock.ts";
import { HubError, type RefusalCode } from "../../hub/errors.ts";
import type { Logger } from "../../hub/logger.ts";

/** Refusals of one code are logged at most once in this time, with their number, so that a flood does not fill the log. */
const SUM_UP_MS = 1_000;

interface Summed {
  loggedAt: number;
  unlogged: number;
}

/**
 * Logs the refusals that happen before a hub is asked. It has no timers, because a timer of a Worker ends with its request.
 * So the last refusals of a flood are counted in the next line of the same code.
 */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #clock: Pick<Clock, "now">;
  readonly #summed = new Map<RefusalCode, Summed>();

  constructor(logger: Logger, clock: Pick<Clock, "now">) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** Logs a refusal with its code and number, and without the address. */
  note(error: unknown): void {
    if (!(error instanceof HubError)) {
      return;
    }
    const { code } = error;
    const now = this.#clock.now();
    const sum = this.#summed.get(code) ?? { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 };
    this.#summed.set(code, sum);
    sum.unlogged++;
    // After the clock was set back, the next line must not wait until the old time comes round again.
    if (now - sum.loggedAt >= SUM_UP_MS || now < sum.loggedAt) {
      this.#logger("warn", "request_refused", { code, count: sum.unlogged });
      sum.loggedAt = now;
      sum.unlogged = 0;
    }
  }
}
