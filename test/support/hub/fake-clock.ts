import { setImmediate as everythingElse } from "node:timers/promises";

import type { Clock } from "../../../src/hub/clock.ts";

/** The most turns or timers while time stands still: an endless loop makes its test fail instead of hang. */
const AT_MOST_AT_ONCE = 20_000;

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Time that stands still until a test moves it. Timers ring in the order in which they are due. */
export class FakeClock implements Clock {
  #now: number;
  #timers: Timer[] = [];
  #turns: (() => void)[] = [];

  constructor(now = Date.UTC(2026, 0, 29, 10)) {
    this.#now = now;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push(resolve);
    });
  }

  /** Runs everything that is ready without moving the time. */
  async settle(): Promise<void> {
    await everythingElse();
    for (let taken = 0; this.#turns.length > 0; taken++) {
      if (taken > AT_MOST_AT_ONCE) {
        throw new Error("something takes one turn after the other and never comes to rest");
      }
      const waiting = this.#turns;
      this.#turns = [];
      for (const resume of waiting) {
        resume();
      }
      await everythingElse();
    }
  }

  /** Moves the time on. Everything that a timer starts runs before the next timer rings. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.settle();
    let atOnce = 0;
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      atOnce = next.at > this.#now ? 0 : atOnce + 1;
      if (atOnce > AT_MOST_AT_ONCE / 20) {
        throw new Error("timers ring one after the other and no time passes");
      }
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await this.settle();
    }
    this.#now = until;
  }

  /** Sets the clock, which may go back, as the clock of a machine does. */
  setBack(ms: number): void {
    this.#now -= ms;
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= until && (first === undefined || timer.at < first.at)) {
        first = timer;
      }
    }
    return first;
  }
}
