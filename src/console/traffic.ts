/** Seconds that the chart shows. */
export const CHART_SECONDS = 120;

/**
 * Counts events per second for the chart. Ids have no holes, so that the difference of two heads is what was published
 * between, whatever the filter of this page hides.
 */
export class Traffic {
  readonly times: number[] = [];
  readonly events: (number | null)[] = [];
  readonly clients: (number | null)[] = [];
  #head: number | undefined;
  #counted: number | undefined;
  #clients: number | null = null;

  constructor(nowSeconds: number) {
    for (let second = nowSeconds - CHART_SECONDS + 1; second <= nowSeconds; second++) {
      this.times.push(second);
      this.events.push(null);
      this.clients.push(null);
    }
  }

  get head(): number | undefined {
    return this.#head;
  }

  /** An event came in: the head is there at least. Counts once the service has told where it started. */
  reached(head: number): void {
    if (this.#head !== undefined) {
      this.#head = Math.max(this.#head, head);
    }
  }

  /** As the service says. */
  measured(head: number | null, clients: number | null): void {
    this.#clients = clients;
    if (head !== null) {
      this.started(head);
    }
  }

  /** The head was there when the page began to look, or later. */
  started(head: number): void {
    this.#counted ??= head;
    this.#head = Math.max(this.#head ?? 0, head);
  }

  /** A second has passed. Answers how many events it had. */
  tick(nowSeconds: number): number | null {
    const count = this.#head === undefined || this.#counted === undefined ? null : this.#head - this.#counted;
    this.#counted = this.#head;
    this.times.push(nowSeconds);
    this.events.push(count);
    this.clients.push(this.#clients);
    for (const series of [this.times, this.events, this.clients]) {
      series.shift();
    }
    return count;
  }

  /** Another channel or another log: its numbers have nothing to do with the former one's. */
  reset(): void {
    this.#head = undefined;
    this.#counted = undefined;
    this.#clients = null;
    this.events.fill(null);
    this.clients.fill(null);
  }
}
