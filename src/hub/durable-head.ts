import type { EventLog } from "./event-log.ts";

/**
 * The last seq that a crash cannot take back. Rows can be read before they are durable; whatever leaves the hub goes
 * only up to here.
 */
export class DurableHead {
  readonly #log: EventLog;
  #seq: number;

  constructor(log: EventLog) {
    this.#log = log;
    this.#seq = log.head;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Resolves when everything that is in the log now is durable. */
  async advance(): Promise<void> {
    const head = this.#log.head;
    await this.#log.sync();
    this.#seq = Math.max(this.#seq, head);
  }
}
