import type { Alarm } from "../alarm.ts";
import type { Clock } from "../clock.ts";
import type { EventLog } from "./event-log.ts";
import type { Retention } from "./retention.ts";

/** A log that goes over a bound, or whose oldest event gets too old, is trimmed after so long: not at every publish. */
const TRIM_DELAY_MS = 5_000;

/** Steps on the way of one publish, which brings 5 MiB at most. */
const STEPS_PER_PUBLISH = 3;

/** What one step deletes at most; between two steps everybody else has a turn. */
const EVENTS_PER_STEP = 2_000;
const BYTES_PER_STEP = 2 * 1024 * 1024;

/** Keeps a log within its bounds: by the alarm, and on the way of a publish only when it is far beyond them. */
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
   * Deletes a little when the log is far over a bound: a flood of publishes between two alarms must not fill the disk,
   * which nothing gives back. Comes before a publish, so that both are one commit. Answers how many events that were.
   */
  relieve(): number {
    const before = this.#log.oldest;
    for (let steps = 0; steps < STEPS_PER_PUBLISH && this.#retention.isFarOver(); steps++) {
      this.#log.trim(this.#retention.lastWithin(EVENTS_PER_STEP, BYTES_PER_STEP));
    }
    return this.#log.oldest - before;
  }

  /**
   * Deletes what is beyond the bounds, in steps. Answers how many events that were.
   *
   * @param between is called between two steps: what else the alarm is for must not wait for a long trimming.
   */
  async trim(between: () => void): Promise<number> {
    let trimmed = 0;
    const excess = this.#retention.excess(this.#clock.now());
    while (this.#log.oldest <= excess) {
      const before = this.#log.oldest;
      this.#log.trim(Math.min(excess, this.#retention.lastWithin(EVENTS_PER_STEP, BYTES_PER_STEP)));
      trimmed += this.#log.oldest - before;
      await this.#clock.turn();
      between();
    }
    return trimmed;
  }
}
