import type { Sql } from "./sql.ts";

/** Where a database counts the applied steps. Each group of tables in one database has its own count. */
type StepTable = "migrations" | "seat_migrations";

/**
 * Brings the tables of a database up to date, one numbered step after the other, each applied once.
 *
 * @param steps append to them only: a step that was deployed must not change
 */
export function migrate(sql: Sql, steps: readonly string[], table: StepTable = "migrations"): void {
  sql.transaction(() => {
    sql.script(`CREATE TABLE IF NOT EXISTS ${table} (step INTEGER PRIMARY KEY) STRICT`);
    const [found] = sql.rows<{ applied: number }>(`SELECT count(*) AS applied FROM ${table}`);
    for (const [index, step] of steps.entries()) {
      if (index >= (found?.applied ?? 0)) {
        sql.script(step);
        sql.rows(`INSERT INTO ${table} (step) VALUES (?)`, index + 1);
      }
    }
  });
}

/** Whether the database has any tables. Writes nothing, so that reading from an unused channel creates nothing. */
export function isMigrated(sql: Sql, table: StepTable = "migrations"): boolean {
  return sql.rows("SELECT 1 AS found FROM sqlite_master WHERE name = ?", table).length > 0;
}
