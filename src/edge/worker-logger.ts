import { waitUntil } from "cloudflare:workers";
import { LogBudget } from "../hub/log-budget.ts";
import type { Logger, LogLevel } from "../hub/logger.ts";
import { createLogger } from "../service/logger.ts";
import { systemClock } from "./system-clock.ts";

/** A timer of a Worker ends with its request. `waitUntil` keeps it. */
const clock = {
  ...systemClock,
  after: (ms: number, callback: () => void): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waitUntil(promise);
    const cancel = systemClock.after(ms, () => {
      callback();
      resolve();
    });
    return () => {
      cancel();
      resolve();
    };
  },
};

const loggers = new Map<LogLevel, Logger>();

/** The logger of the Worker. All requests of an isolate share one budget of lines. */
export function workerLogger(from: LogLevel): Logger {
  let logger = loggers.get(from);
  if (logger === undefined) {
    logger = new LogBudget(createLogger(from), clock).log;
    loggers.set(from, logger);
  }
  return logger;
}
