/**
 * Brings the tables of an object up to date, one numbered step after the other, each applied once.
 *
 * @param steps only ever appended to: a step that was deployed stays as it is.
 */
export function migrate(storage: DurableObjectStorage, steps: readonly string[]): void {
  const { sql } = storage;
  storage.transactionSync(() => {
    sql.exec("CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY) STRICT");
    const { applied } = sql.exec<{ applied: number }>("SELECT count(*) AS applied FROM migrations").one();
    for (const [index, step] of steps.entries()) {
      if (index >= applied) {
        sql.exec(step);
        sql.exec("INSERT INTO migrations (step) VALUES (?)", index + 1);
      }
    }
  });
}

/** Whether the object has tables at all. Asking writes nothing: an object that is only looked at stays empty. */
export function isMigrated(storage: DurableObjectStorage): boolean {
  const [found] = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'migrations'");
  return found !== undefined;
}
