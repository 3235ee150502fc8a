import type { KeyValues, Sql } from "./sql.ts";

/** Named values in a table of a database. */
export function keyValues(sql: Sql): KeyValues {
  sql.script("CREATE TABLE IF NOT EXISTS key_values (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
  return {
    get: <Value>(key: string) => {
      const [row] = sql.rows<{ value: string }>("SELECT value FROM key_values WHERE key = ?", key);
      return row === undefined ? undefined : (JSON.parse(row.value) as Value);
    },
    put: (key, value) => {
      sql.rows("INSERT OR REPLACE INTO key_values (key, value) VALUES (?, ?)", key, JSON.stringify(value));
    },
    delete: (key) => {
      sql.rows("DELETE FROM key_values WHERE key = ?", key);
    },
  };
}
