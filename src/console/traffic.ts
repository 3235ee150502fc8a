/** The width of the chart in seconds. */
export const CHART_SECONDS = 120;

/**
 * Counts events per second for the chart. Ids have no holes, so the difference of two heads is the number of events
 * published between them, including those that the filter of this page hides.
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

  /** An event arrived, so the head is at least its id. Ignored until the head is known from the service. */
  reached(head: number): void {
    if (this.#head !== undefined) {
      this.#head = Math.max(this.#head, head);
    }
  }

  /** Takes the numbers of a health answer. */
  measured(head: number | null, clients: number | null): void {
    this.#clients = clients;
    if (head !== null) {
      this.started(head);
    }
  }

  /** Takes the head that the service named. Counting starts at the first one. */
  started(head: number): void {
    this.#counted ??= head;
    this.#head = Math.max(this.#head ?? 0, head);
  }

  /** Ends a second. Returns its number of events, or null if the head is not known. */
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

  /** Forgets the numbers, which belong to another channel or log. */
  reset(): void {
    this.#head = undefined;
    this.#counted = undefined;
    this.#clients = null;
    this.events.fill(null);
    this.clients.fill(null);
  }
}
