import { waitUntil } from "cloudflare:workers";
import { LogBudget } from "../hub/log-budget.ts";
import type { Logger, LogLevel } from "../hub/logger.ts";
import { createLogger } from "../service/logger.ts";
import { systemClock } from "./system-clock.ts";

/** A timer of a Worker lasts as long as its request, unless somebody waits for it. */
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

/** The logger of the Worker: its budget of lines is that of the isolate, over all requests. */
export function workerLogger(from: LogLevel): Logger {
  let logger = loggers.get(from);
  if (logger === undefined) {
    logger = new LogBudget(createLogger(from), clock).log;
    loggers.set(from, logger);
  }
  return logger;
}
