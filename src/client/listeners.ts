/** Those who want to hear of one thing. One that throws harms no other. */
export class Listeners<Arguments extends readonly unknown[]> {
  readonly #report: (error: unknown) => void;
  #all: readonly { readonly call: (...values: Arguments) => void }[] = [];

  /** @param report where goes what a listener throws */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Answers what takes it off again. The same function may be added more than once. */
  add(call: (...values: Arguments) => void): () => void {
    if (typeof call !== "function") {
      throw new TypeError("Expected a function to call.");
    }
    const listener = { call };
    this.#all = [...this.#all, listener];
    return () => {
      this.#all = this.#all.filter((other) => other !== listener);
    };
  }

  /** Those there are now; one that is taken off by an earlier one is not called any more. */
  call(...values: Arguments): void {
    for (const listener of this.#all) {
      if (this.#all.includes(listener)) {
        try {
          listener.call(...values);
        } catch (error) {
          this.#report(error);
        }
      }
    }
  }
}
