/** Alarms fall on multiples of a step, so that one serves many: a part of the heartbeat interval, 2 s at most. */
const STEPS_PER_HEARTBEAT = 8;
const STEP_MAX_MS = 2_000;

/** The one alarm of a hub. It is set only while something is due: setting it costs a write, and wakes the object. */
export class Alarm {
  readonly #stepMs: number;
  readonly #set: (at: number) => void;
  #at = Number.POSITIVE_INFINITY;

  /** @param set replaces the alarm of the object. */
  constructor(heartbeatIntervalMs: number, set: (at: number) => void) {
    this.#stepMs = Math.min(heartbeatIntervalMs / STEPS_PER_HEARTBEAT, STEP_MAX_MS);
    this.#set = set;
  }

  /** Takes over what an earlier life of the hub has set; null: nothing. */
  restore(at: number | null): void {
    this.#at = at ?? Number.POSITIVE_INFINITY;
  }

  /** Makes sure that it rings at this time or, for something else, before. Rings up to one step late. */
  arm(at: number): void {
    const rounded = Math.ceil(at / this.#stepMs) * this.#stepMs;
    if (rounded < this.#at) {
      this.#at = rounded;
      this.#set(rounded);
    }
  }

  /** It has rung: none is set. */
  rung(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }
}
