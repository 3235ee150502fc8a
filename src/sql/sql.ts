/** A value of a column. */
export type SqlValue = string | number | null;

/**
 * A SQLite database as the log, the directory and the tickets use it. A Durable Object has one in its storage, and a
 * process of its own opens a file. Everything but `sync` is synchronous: rows can be read at once, and are durable later.
 */
export interface Sql {
  /** Runs one statement and returns its rows, each as an object of its columns. */
  rows<Row extends Readonly<Record<string, SqlValue>>>(
    query: string,
    ...bindings: readonly SqlValue[]
  ): readonly Row[];
  /** The same with each row as an array of its values, which costs less. */
  values(query: string, ...bindings: readonly SqlValue[]): Iterable<readonly SqlValue[]>;
  /** Runs several statements that have no bindings. */
  script(statements: string): void;
  /** Runs work whose writes are kept together or, if it throws, not at all. */
  transaction(work: () => void): void;
  /** Resolves when everything that was written before the call is durable. */
  sync(): Promise<void>;
}

/** A few named values beside the tables. */
export interface KeyValues {
  get<Value>(key: string): Value | undefined;
  put<Value>(key: string, value: Value): void;
  delete(key: string): void;
}
