import type { Clock } from "./clock.ts";
import { count } from "./counters.ts";
import type { LogFields, Logger, LogLevel } from "./logger.ts";

/**
 * How many lines of one event are logged in full per second. A client that connects and leaves a thousand times a
 * second must not fill the disk or hide other lines.
 */
const LINES_PER_SECOND = 20;

const SECOND_MS = 1_000;

/** The lines of one event within a second. */
interface Burst {
  readonly startedAt: number;
  level: LogLevel;
  lines: number;
  /** How many lines were not logged, in total and by their `reason`. */
  unlogged: number;
  readonly reasons: Partial<Record<string, number>>;
}

/**
 * A logger that limits the lines of each event per second. It sums up the other lines in one line of the same event,
 * which has `count`, and `reasons` if the lines have a `reason`.
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

  /** Logs the sums now. Call it before the object may stop or sleep: the timer would not ring any more. */
  flush(): void {
    for (const event of this.#bursts.keys()) {
      this.#end(event);
    }
  }

  #burstOf(event: string, level: LogLevel): Burst {
    const now = this.#clock.now();
    const current = this.#bursts.get(event);
    // If the clock was set back, a new burst starts. Otherwise the old one would last until its time came round.
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
