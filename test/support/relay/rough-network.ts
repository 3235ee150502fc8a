import type { FakeClock } from "../hub/fake-clock.ts";
import type { Random } from "../faults/random.ts";

/** A promise of what never comes. */
export function never<Value>(): Promise<Value> {
  return new Promise(() => {});
}

/** Carries calls between objects. While it is rough, messages are late, lost, repeated and overtake each other. */
export class RoughNetwork {
  readonly #clock: FakeClock;
  readonly #random: Random;
  isRough = true;

  constructor(clock: FakeClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Calls a method of another object, which may run twice, late, or not at all. */
  async call<Value>(method: () => Promise<Value>): Promise<Value> {
    const copies = this.isRough && this.#random.chance(0.1) ? 2 : 1;
    return Promise.race(Array.from({ length: copies }, () => this.#callOnce(method)));
  }

  /** Waits for as long as a message takes that is not lost. */
  async delay(): Promise<void> {
    await this.wait(this.#random.between(1, this.isRough ? 900 : 20));
  }

  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => void this.#clock.after(ms, resolve));
  }

  async #callOnce<Value>(method: () => Promise<Value>): Promise<Value> {
    await this.#travel();
    const answer = await method();
    await this.#travel();
    return answer;
  }

  async #travel(): Promise<void> {
    if (this.isRough && this.#random.chance(0.08)) {
      await never();
    }
    const isLate = this.isRough && this.#random.chance(0.15);
    await this.wait(this.#random.between(1, isLate ? 5_000 : 20));
  }
}
