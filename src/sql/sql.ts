/** A value of a column. */
export type SqlValue = string | number | null;

/**
 * The SQLite database of a log, the directory or the tickets: the storage of a Durable Object, or a file of a process. All
 * methods but `sync` are synchronous. Rows can be read at once, and are durable later.
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
  /** Runs work. If it throws, all of its writes are rolled back. */
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
