import type { Alarm } from "../alarm.ts";
import type { Clock } from "../clock.ts";
import type { EventLog } from "./event-log.ts";
import type { Retention } from "./retention.ts";

/** A log that goes over a bound, or whose oldest event gets too old, is trimmed after so long: not at every publish. */
const TRIM_DELAY_MS = 5_000;

/** What one step deletes at most; between two steps everybody else has a turn. */
const EVENTS_PER_STEP = 2_000;
const BYTES_PER_STEP = 2 * 1024 * 1024;

/** Keeps a log within its bounds, by the alarm and never on the way of a publish. */
export class Trimmer {
  readonly #log: EventLog;
  readonly #retention: Retention;
  readonly #clock: Clock;
  readonly #alarm: Alarm;

  constructor(log: EventLog, retention: Retention, clock: Clock, alarm: Alarm) {
    this.#log = log;
    this.#retention = retention;
    this.#clock = clock;
    this.#alarm = alarm;
  }

  /** Asks for the alarm when the log is over a bound, or will be by age. An empty log asks for none. */
  arm(): void {
    const now = this.#clock.now();
    const due = this.#retention.isOver() ? now : this.#retention.nextExpiry();
    if (due !== null) {
      this.#alarm.arm(Math.max(now, due) + TRIM_DELAY_MS);
    }
  }

  /**
   * Deletes what is beyond the bounds, in steps. Answers how many events that were.
   *
   * @param between is called between two steps: what else the alarm is for must not wait for a long trimming.
   */
  async trim(between: () => void): Promise<number> {
    const before = this.#log.oldest;
    const excess = this.#retention.excess(this.#clock.now());
    while (this.#log.oldest <= excess) {
      this.#log.trim(Math.min(excess, this.#retention.lastWithin(EVENTS_PER_STEP, BYTES_PER_STEP)));
      await this.#clock.turn();
      between();
    }
    return this.#log.oldest - before;
  }
}
