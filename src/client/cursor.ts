const DECIMAL = /^\d{1,16}$/;

/** A place in a log: everything up to `id` has been delivered. */
export interface Position {
  /** Empty: nowhere yet. */
  readonly id: string;
  /** The log that the id belongs to, as the service has named it. */
  readonly log: string | undefined;
}

/** Where a client stands. It is what the next connect asks for, and what tells a double. */
export class Cursor implements Position {
  #id: string;
  #log: string | undefined;

  constructor(start: Position) {
    this.#id = start.id;
    this.#log = start.log;
  }

  get id(): string {
    return this.#id;
  }

  /**
   * Moves only together with the id: a client that adopted the log of `connected` and was cut before the `gap` that
   * follows would come back with an old id and a new log, and never hear of the gap.
   */
  get log(): string | undefined {
    return this.#log;
  }

  /** Moves on; answers false, and stays, if it has been there: what came with this id is a double. */
  move(to: Position): boolean {
    if (this.covers(to)) {
      return false;
    }
    this.jump(to);
    return true;
  }

  /** Moves, also back. */
  jump(to: Position): void {
    this.#id = to.id;
    this.#log = to.log;
  }

  /** Whether it has been at a place. Ids of different logs, of unnamed ones, and other than decimals do not compare. */
  covers({ id, log }: Position): boolean {
    return (
      log !== undefined &&
      log === this.#log &&
      DECIMAL.test(id) &&
      DECIMAL.test(this.#id) &&
      Number(id) <= Number(this.#id)
    );
  }

  get position(): Position {
    return { id: this.#id, log: this.#log };
  }
}
