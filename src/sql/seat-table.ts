import type { KeptSeats, SeatStore } from "../relay/seat-store.ts";
import { isMigrated, migrate } from "./migrations.ts";
import type { Sql } from "./sql.ts";

/** Changes of the table, in order, each applied once. Only ever append to this list. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE seats (
     relay TEXT NOT NULL,
     life TEXT NOT NULL,
     held INTEGER NOT NULL,
     version INTEGER NOT NULL,
     PRIMARY KEY (relay, life)
   ) STRICT, WITHOUT ROWID;`,
];

/** The leased seats of a channel, in the database of its hub. A channel without relays has no such table. */
export class SeatTable implements SeatStore {
  readonly #sql: Sql;
  #isMigrated = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  all(): readonly KeptSeats[] {
    if (!isMigrated(this.#sql, "seat_migrations")) {
      return [];
    }
    this.#migrate();
    const query = "SELECT relay, life, held, version FROM seats ORDER BY version";
    return this.#sql.rows<{ relay: string; life: string; held: number; version: number }>(query);
  }

  save({ relay, life, held, version }: KeptSeats): void {
    this.#migrate();
    if (held === 0) {
      this.#sql.rows("DELETE FROM seats WHERE relay = ? AND life = ?", relay, life);
      return;
    }
    this.#sql.rows(
      "INSERT OR REPLACE INTO seats (relay, life, held, version) VALUES (?, ?, ?, ?)",
      relay,
      life,
      held,
      version,
    );
  }

  /** Deletes all leases. */
  clear(): void {
    if (isMigrated(this.#sql, "seat_migrations")) {
      this.#migrate();
      this.#sql.rows("DELETE FROM seats");
    }
  }

  sync(): Promise<void> {
    return this.#sql.sync();
  }

  #migrate(): void {
    if (!this.#isMigrated) {
      migrate(this.#sql, MIGRATIONS, "seat_migrations");
      this.#isMigrated = true;
    }
  }
}
