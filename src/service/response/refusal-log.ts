import type { Clock } from "../../hub/clock.ts";
import { HubError, type RefusalCode } from "../../hub/errors.ts";
import type { Logger } from "../../hub/logger.ts";

/** Refusals of one code are logged once in this time at most, with their number: a flood must not fill the log. */
const SUM_UP_MS = 1_000;

interface Summed {
  loggedAt: number;
  unlogged: number;
}

/**
 * What the service has refused before any hub was asked. Without timers: one of a Worker ends with its request. So the
 * last refusals of a flood are counted in the line of the next one.
 */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #clock: Pick<Clock, "now">;
  readonly #summed = new Map<RefusalCode, Summed>();

  constructor(logger: Logger, clock: Pick<Clock, "now">) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** Logs a refusal: why and how often, but not to whom. */
  note(error: unknown): void {
    if (!(error instanceof HubError)) {
      return;
    }
    const { code } = error;
    const now = this.#clock.now();
    const sum = this.#summed.get(code) ?? { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 };
    this.#summed.set(code, sum);
    sum.unlogged++;
    // A clock can be set back: the next line does not wait for that time to come round.
    if (now - sum.loggedAt >= SUM_UP_MS || now < sum.loggedAt) {
      this.#logger("warn", "request_refused", { code, count: sum.unlogged });
      sum.loggedAt = now;
      sum.unlogged = 0;
    }
  }
}
