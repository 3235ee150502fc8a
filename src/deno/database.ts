import { DatabaseSync, type StatementSync } from "node:sqlite";

import type { Sql, SqlValue } from "../sql/sql.ts";

/** Writes that become durable together. */
interface Group {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** A statement that only reads needs no transaction. */
const READING = /^\s*SELECT\b/i;

/**
 * A SQLite file that only this process can open. The first write begins a transaction, and all writes in the same turn of
 * the event loop join it, so publishes that arrive together share one commit and one fsync.
 */
export class Database implements Sql {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #onLost: (error: unknown) => void;
  #group: Group | null = null;

  /**
   * Opens a file, or creates it.
   *
   * @param onLost is called when a group of writes could not be committed, so that readers forget what they read of it
   */
  constructor(file: string, onLost: (error: unknown) => void) {
    this.#onLost = onLost;
    this.#database = new DatabaseSync(file, { timeout: 0 });
    try {
      // Exclusive: another process that opens the file is refused, and there is no file of shared memory.
      this.#database.exec(`PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;`);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  rows<Row extends Readonly<Record<string, SqlValue>>>(
    query: string,
    ...bindings: readonly SqlValue[]
  ): readonly Row[] {
    const statement = this.#prepare(query);
    statement.setReturnArrays(false);
    return statement.all(...bindings) as unknown as readonly Row[];
  }

  values(query: string, ...bindings: readonly SqlValue[]): Iterable<readonly SqlValue[]> {
    const statement = this.#prepare(query);
    statement.setReturnArrays(true);
    return statement.all(...bindings) as unknown as readonly (readonly SqlValue[])[];
  }

  script(statements: string): void {
    this.#begin();
    this.#database.exec(statements);
  }

  transaction(work: () => void): void {
    this.#begin();
    this.rows("SAVEPOINT work");
    try {
      work();
      this.rows("RELEASE work");
    } catch (error) {
      this.#takeBack(error);
      throw error;
    }
  }

  sync(): Promise<void> {
    return this.#group?.promise ?? Promise.resolve();
  }

  /** Commits the pending writes, and closes the file. */
  close(): void {
    this.#commit();
    this.#database.close();
  }

  #prepare(query: string): StatementSync {
    if (!READING.test(query)) {
      this.#begin();
    }
    const known = this.#statements.get(query);
    if (known !== undefined) {
      return known;
    }
    const statement = this.#database.prepare(query);
    this.#statements.set(query, statement);
    return statement;
  }

  #begin(): void {
    if (this.#group === null) {
      this.#database.exec("BEGIN IMMEDIATE");
      this.#group = Promise.withResolvers<void>();
      // `onLost` tells callers that do not wait.
      this.#group.promise.catch(() => {});
      setImmediate(() => this.#commit());
    }
  }

  /** SQLite rolls back the statement, or the whole transaction if the disk is full or broken. */
  #takeBack(error: unknown): void {
    if (this.#database.isTransaction) {
      this.#database.exec("ROLLBACK TO work; RELEASE work");
    } else {
      this.#lose(error);
    }
  }

  #commit(): void {
    const group = this.#group;
    if (group === null) {
      return;
    }
    try {
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#lose(error);
      return;
    }
    this.#group = null;
    group.resolve();
  }

  #lose(error: unknown): void {
    const group = this.#group;
    this.#group = null;
    try {
      if (this.#database.isTransaction) {
        this.#database.exec("ROLLBACK");
      }
      this.#onLost(error);
    } finally {
      group?.reject(error);
    }
  }
}
