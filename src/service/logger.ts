import type { LogFields, Logger, LogLevel } from "../hub/logger.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * Writes one line of JSON for each event of at least a level.
 *
 * @param always fields of every line
 */
export function createLogger(from: LogLevel, always: LogFields = {}): Logger {
  return (level, event, fields) => {
    if (RANK[level] >= RANK[from]) {
      console.log(JSON.stringify({ time: new Date().toISOString(), level, event, ...always, ...fields }));
    }
  };
}
