/** Remembers a time for each of a bounded number of keys. The oldest key is forgotten to make room for a new one. */
export class Deadlines {
  readonly #maxKeys: number;
  readonly #deadlines = new Map<string, number>();

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** In ms since the epoch; 0 for an unknown key. */
  of(key: string): number {
    return this.#deadlines.get(key) ?? 0;
  }

  set(key: string, deadline: number): void {
    this.#deadlines.delete(key);
    const [oldest] = this.#deadlines.keys();
    if (oldest !== undefined && this.#deadlines.size >= this.#maxKeys) {
      this.#deadlines.delete(oldest);
    }
    this.#deadlines.set(key, deadline);
  }
}
