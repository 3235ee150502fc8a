import type { LoggingConfig } from "../config/schema.ts";
import { HubError, type ProblemCode } from "../hub/errors.ts";
import { createLogger } from "./logger.ts";

/** Refusals of one code are logged once in this time at most, with their number: a flood must not fill the log. */
const SUM_UP_MS = 1_000;

/** What is looked at of the bindings. */
interface Setting {
  readonly LOGGING: LoggingConfig;
}

interface Summed {
  loggedAt: number;
  unlogged: number;
}

/**
 * What this isolate has refused before any hub was asked. Without timers: one of a Worker ends with its request. So the
 * last refusals of a flood are counted in the line of the next one.
 */
const summed = new Map<ProblemCode, Summed>();

/** Logs a refusal of the Worker: why and how often, but not to whom. */
export function noteRefusal(error: unknown, { LOGGING }: Setting, now = Date.now()): void {
  if (!(error instanceof HubError)) {
    return;
  }
  const { code } = error;
  const sum = summed.get(code) ?? { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 };
  summed.set(code, sum);
  sum.unlogged++;
  // A clock can be set back: the next line does not wait for that time to come round.
  if (now - sum.loggedAt >= SUM_UP_MS || now < sum.loggedAt) {
    createLogger(LOGGING.level)("warn", "request_refused", { code, count: sum.unlogged });
    sum.loggedAt = now;
    sum.unlogged = 0;
  }
}
