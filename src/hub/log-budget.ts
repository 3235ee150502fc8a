import type { Clock } from "./clock.ts";
import { count } from "./counters.ts";
import type { LogFields, Logger, LogLevel } from "./logger.ts";

/**
 * Lines of one event that are logged in full each second. Anybody can connect and leave a thousand times a second, and
 * must not fill a disk or hide the lines that count.
 */
const LINES_PER_SECOND = 20;

const SECOND_MS = 1_000;

/** The lines of one event within a second. */
interface Burst {
  readonly startedAt: number;
  level: LogLevel;
  lines: number;
  /** Lines that were not logged, in all and by their `reason`. */
  unlogged: number;
  readonly reasons: Partial<Record<string, number>>;
}

/**
 * A logger that says each event so many times a second at most, and then how often the rest of it happened: one line of
 * the same event with `count`, and `reasons` where its lines have a `reason`.
 */
export class LogBudget {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #bursts = new Map<string, Burst>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  readonly log: Logger = (level, event, fields) => {
    const burst = this.#burstOf(event, level);
    burst.level = level;
    burst.lines++;
    if (burst.lines <= LINES_PER_SECOND) {
      this.#log(level, event, fields);
    } else {
      this.#sumUpLater(event, burst, fields);
    }
  };

  /** Logs now what would be summed up later: an object that stops or sleeps may have no later. */
  flush(): void {
    for (const event of this.#bursts.keys()) {
      this.#end(event);
    }
  }

  #burstOf(event: string, level: LogLevel): Burst {
    const now = this.#clock.now();
    const current = this.#bursts.get(event);
    // A clock can be set back: nothing waits for that time to come round.
    if (current !== undefined && now >= current.startedAt && now - current.startedAt < SECOND_MS) {
      return current;
    }
    this.#end(event);
    const burst = { startedAt: now, level, lines: 0, unlogged: 0, reasons: {} };
    this.#bursts.set(event, burst);
    return burst;
  }

  #sumUpLater(event: string, burst: Burst, fields: LogFields = {}): void {
    const { reason } = fields;
    if (burst.unlogged++ === 0) {
      this.#clock.after(burst.startedAt + SECOND_MS - this.#clock.now(), () => {
        if (this.#bursts.get(event) === burst) {
          this.#end(event);
        }
      });
    }
    if (typeof reason === "string") {
      count(burst.reasons, reason);
    }
  }

  #end(event: string): void {
    const burst = this.#bursts.get(event);
    this.#bursts.delete(event);
    if (burst !== undefined && burst.unlogged > 0) {
      const { level, unlogged, reasons } = burst;
      const hasReasons = Object.keys(reasons).length > 0;
      this.#log(level, event, { count: unlogged, ...(hasReasons && { reasons }) });
    }
  }
}
