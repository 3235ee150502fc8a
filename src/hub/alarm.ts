/**
 * Alarms ring at multiples of a step, so that one alarm serves many clients. A step is this part of the heartbeat
 * interval, but not longer than the maximum.
 */
const STEPS_PER_HEARTBEAT = 8;
const STEP_MAX_MS = 2_000;

/** The one alarm of a hub. It is set only while something is due: to set it costs a write, and it wakes the object. */
export class Alarm {
  readonly #stepMs: number;
  readonly #set: (at: number) => void;
  #at = Number.POSITIVE_INFINITY;

  /** @param set replaces the alarm of the object */
  constructor(heartbeatIntervalMs: number, set: (at: number) => void) {
    this.#stepMs = Math.min(heartbeatIntervalMs / STEPS_PER_HEARTBEAT, STEP_MAX_MS);
    this.#set = set;
  }

  /** Takes over the alarm of an earlier life of the hub; null if none is set. */
  restore(at: number | null): void {
    this.#at = at ?? Number.POSITIVE_INFINITY;
  }

  /** Makes sure that the alarm rings at this time or earlier. It may ring up to one step late. */
  arm(at: number): void {
    const rounded = Math.ceil(at / this.#stepMs) * this.#stepMs;
    if (rounded < this.#at) {
      this.#at = rounded;
      this.#set(rounded);
    }
  }

  /** Call it when the alarm has rung: no alarm is set then. */
  rung(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }
}
