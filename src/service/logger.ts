import type { LogFields, Logger, LogLevel } from "../hub/logger.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Writes one JSON line for each thing that happened, from a level upwards. */
export function createLogger(from: LogLevel, always: LogFields = {}): Logger {
  return (level, event, fields) => {
    if (RANK[level] >= RANK[from]) {
      console.log(JSON.stringify({ time: new Date().toISOString(), level, event, ...always, ...fields }));
    }
  };
}
