import type { Clock } from "../../hub/clock.ts";

/** For how long a text is reused, counted from when its making began. */
const REUSE_MS = 1_000;

/** How often a waiting request looks whether the text is there. */
const LOOK_MS = 20;

/**
 * A text that is expensive to make. A request gets one whose making began at most a second before the request came, so a
 * flood of requests makes one text a second.
 *
 * Requests share the finished text and never its promise: in workerd, a request that awaits the I/O of another request
 * hangs. So a request that finds the text being made waits by a timer of its own.
 */
export class ReusedText {
  readonly #clock: Clock;
  #text = "";
  #textBegunAt = Number.NEGATIVE_INFINITY;
  /** When the text that is being made was begun; null: none is. */
  #begunAt: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The text of the last second, or a new one. */
  async read(make: () => Promise<string>): Promise<string> {
    const askedAt = this.#clock.now();
    while (!this.#isNewEnough(this.#textBegunAt, askedAt)) {
      // A request whose peer leaves may be cut before it finishes the text. Then others must not wait for it.
      if (this.#begunAt === null || !this.#isNewEnough(this.#begunAt, this.#clock.now())) {
        return this.#make(make);
      }
      await new Promise<void>((resolve) => void this.#clock.after(LOOK_MS, resolve));
    }
    return this.#text;
  }

  async #make(make: () => Promise<string>): Promise<string> {
    const begunAt = this.#clock.now();
    this.#begunAt = begunAt;
    try {
      const text = await make();
      this.#text = text;
      this.#textBegunAt = begunAt;
      return text;
    } finally {
      if (this.#begunAt === begunAt) {
        this.#begunAt = null;
      }
    }
  }

  /** A clock can be set back. A text from the future is old then, or it would be reused until that time came round. */
  #isNewEnough(begunAt: number, askedAt: number): boolean {
    return begunAt > askedAt - REUSE_MS && begunAt <= this.#clock.now();
  }
}
