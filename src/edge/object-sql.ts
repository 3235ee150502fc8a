import type { Sql, SqlValue } from "../sql/sql.ts";

/** The database in the storage of an object. */
export function objectSql(storage: DurableObjectStorage): Sql {
  return {
    rows: <Row extends Readonly<Record<string, SqlValue>>>(query: string, ...bindings: readonly SqlValue[]) =>
      storage.sql.exec<Row>(query, ...bindings).toArray(),
    values: (query, ...bindings) =>
      storage.sql.exec(query, ...bindings).raw() as Iterable<readonly SqlValue[]>,
    script: (statements) => {
      storage.sql.exec(statements);
    },
    transaction: (work) => storage.transactionSync(work),
    sync: () => storage.sync(),
  };
}
