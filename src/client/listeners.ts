/** The listeners of one kind of event. One that throws does not keep the others from being called. */
export class Listeners<Arguments extends readonly unknown[]> {
  readonly #report: (error: unknown) => void;
  #all: readonly { readonly call: (...values: Arguments) => void }[] = [];

  /** @param report gets what a listener throws */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Returns a function that removes the listener. The same function may be added more than once. */
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

  /** Skips a listener that an earlier one removes, or that is added meanwhile. */
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
