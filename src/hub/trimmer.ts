import type { Alarm } from "./alarm.ts";
import type { Clock } from "./clock.ts";
import type { EventLog } from "./event-log.ts";
import type { Retention } from "./retention.ts";

/** A log that goes over a bound, or whose oldest event gets too old, is trimmed after so long: not at every publish. */
const TRIM_DELAY_MS = 5_000;

/** Events that one step deletes; between two steps everybody else has a turn. */
const EVENTS_PER_STEP = 2_000;

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

  /** Deletes what is beyond the bounds, in steps. Answers how many events that were. */
  async trim(): Promise<number> {
    const before = this.#log.oldest;
    const excess = this.#retention.excess(this.#clock.now());
    while (this.#log.oldest <= excess) {
      this.#log.trim(Math.min(excess, this.#log.oldest + EVENTS_PER_STEP - 1));
      await this.#clock.turn();
    }
    return this.#log.oldest - before;
  }
}
