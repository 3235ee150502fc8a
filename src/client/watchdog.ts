import type { Environment } from "./environment.ts";

/** The heartbeat interval to expect until the service has named its own. */
const DEFAULT_INTERVAL_SECONDS = 30;

/** The longest plausible heartbeat interval. A longer one is ignored. */
const LONGEST_INTERVAL_SECONDS = 3_600;

/** Barks after a time of silence. It uses timers only, because a clock that jumps could keep it quiet. */
export class Watchdog {
  readonly #environment: Environment;
  readonly #intervals: number;
  readonly #bark: () => void;
  #intervalSeconds = DEFAULT_INTERVAL_SECONDS;
  #heardAt: number | undefined;
  #cancel: (() => void) | undefined;

  /** @param intervals the silence to allow, in heartbeat intervals */
  constructor(environment: Environment, intervals: number, bark: () => void) {
    this.#environment = environment;
    this.#intervals = intervals;
    this.#bark = bark;
  }

  heard(): void {
    this.stop();
    this.#heardAt = this.#environment.now();
    this.#cancel = this.#environment.after(this.#patienceMs, this.#bark);
  }

  /** Sets the heartbeat interval. Ignores an implausible value. */
  beatsEvery(seconds: unknown): void {
    if (typeof seconds === "number" && seconds > 0 && seconds <= LONGEST_INTERVAL_SECONDS) {
      this.#intervalSeconds = seconds;
      this.heard();
    }
  }

  /** Barks if the time is over by the clock. The timers of a suspended page stand still. */
  check(): void {
    if (this.#heardAt !== undefined && this.#environment.now() - this.#heardAt > this.#patienceMs) {
      this.#bark();
    }
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#heardAt = undefined;
  }

  get #patienceMs(): number {
    return this.#intervals * this.#intervalSeconds * 1_000;
  }
}
