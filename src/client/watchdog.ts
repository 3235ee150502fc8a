import type { Environment } from "./environment.ts";

/** What a stream is taken to beat at until it has said so. */
const DEFAULT_INTERVAL_SECONDS = 30;

/** An interval that a service may reasonably have; anything else is taken for a mistake. */
const LONGEST_INTERVAL_SECONDS = 3_600;

/** Barks when nothing was heard for a while. Runs on timers alone, so that a clock that jumps cannot still it. */
export class Watchdog {
  readonly #environment: Environment;
  readonly #intervals: number;
  readonly #bark: () => void;
  #intervalSeconds = DEFAULT_INTERVAL_SECONDS;
  #heardAt: number | undefined;
  #cancel: (() => void) | undefined;

  /** @param intervals how many heartbeats may be missing */
  constructor(environment: Environment, intervals: number, bark: () => void) {
    this.#environment = environment;
    this.#intervals = intervals;
    this.#bark = bark;
  }

  /** Something was heard: the wait starts anew. */
  heard(): void {
    this.stop();
    this.#heardAt = this.#environment.now();
    this.#cancel = this.#environment.after(this.#patienceMs, this.#bark);
  }

  /** The service has said how often it beats. A value that makes no sense is ignored. */
  beatsEvery(seconds: unknown): void {
    if (typeof seconds === "number" && seconds > 0 && seconds <= LONGEST_INTERVAL_SECONDS) {
      this.#intervalSeconds = seconds;
      this.heard();
    }
  }

  /** For a page that may have slept: barks at once if, by the clock, it should have barked in the meantime. */
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
