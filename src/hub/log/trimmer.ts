import type { Alarm } from "../alarm.ts";
import type { Clock } from "../clock.ts";
import type { EventLog } from "./event-log.ts";
import type { Retention } from "./retention.ts";

/** How long after a log goes over a bound it is trimmed, so that trimming does not happen at every publish. */
const TRIM_DELAY_MS = 5_000;

/** The most steps that one publish makes. A publish brings at most 5 MiB, less than these steps delete. */
const STEPS_PER_PUBLISH = 3;

/** The most that one step deletes. Everything else that is ready runs between two steps. */
const EVENTS_PER_STEP = 2_000;
const BYTES_PER_STEP = 2 * 1024 * 1024;

/** Keeps a log within its bounds. The alarm trims it; a publish does so only if the log is far over a bound. */
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

  /** Sets the alarm for when the log is over a bound. An empty log needs no alarm. */
  arm(): void {
    const now = this.#clock.now();
    const due = this.#retention.isOver() ? now : this.#retention.nextExpiry();
    if (due !== null) {
      this.#alarm.arm(Math.max(now, due) + TRIM_DELAY_MS);
    }
  }

  /**
   * Deletes some events if the log is far over a bound: a flood of publishes between two alarms must not fill the disk,
   * because the file of the database never shrinks. Called before a publish, so that both are one commit. Returns the
   * number of deleted events.
   */
  relieve(): number {
    const before = this.#log.oldest;
    for (let steps = 0; steps < STEPS_PER_PUBLISH && this.#retention.isFarOver(); steps++) {
      this.#log.trim(this.#retention.lastWithin(EVENTS_PER_STEP, BYTES_PER_STEP));
    }
    return this.#log.oldest - before;
  }

  /**
   * Deletes the events beyond the bounds, in steps. Returns their number.
   *
   * @param between called between two steps: the other work of the alarm must not wait for a long trimming
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
