const DECIMAL = /^\d{1,16}$/;

/** A position in a log. Everything up to `id` has been delivered. */
export interface Position {
  /** Empty before the first stream. */
  readonly id: string;
  /** The name of the log that the id belongs to. */
  readonly log: string | undefined;
}

/** The position of a client. The next connect resumes after it, and an event at or before it is a duplicate. */
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
   * Changes only together with the id. If a client took the log of `connected` and lost its stream before the `gap`
   * that follows, it would come back with an old id of a new log, and would never be told about the gap.
   */
  get log(): string | undefined {
    return this.#log;
  }

  /** Moves forward. Returns false, and stays, if the position was reached before: the event is a duplicate. */
  move(to: Position): boolean {
    if (this.covers(to)) {
      return false;
    }
    this.jump(to);
    return true;
  }

  /** Moves in any direction. */
  jump(to: Position): void {
    this.#id = to.id;
    this.#log = to.log;
  }

  /** Whether a position was reached before. Only decimal ids of the same named log can be compared. */
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
