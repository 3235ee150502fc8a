import type { Clock } from "../hub/clock.ts";
import type { Sql } from "./sql.ts";

/** How soon to ring again after a failure. */
const RETRY_MS = 10_000;

/** Channels that are woken at once. */
const WOKEN_AT_ONCE = 50;

/** When to look again after a channel that was woken: its hub may be open for long, or its file broken. */
const LOOK_AGAIN_MS = 600_000;

/**
 * When channels whose hubs are closed have something to do: a log has to be trimmed. Kept in a table, so that it is not
 * forgotten by a restart. An open hub has a timer of its own, and its row says only when to look after it at the latest.
 */
export class Alarms {
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #wake: (channel: string) => void;
  #at = Number.POSITIVE_INFINITY;
  #cancel: () => void = () => {};

  /** @param wake opens the hub of a channel, which then knows what is due. */
  constructor(sql: Sql, clock: Clock, wake: (channel: string) => void) {
    sql.script(`CREATE TABLE IF NOT EXISTS alarms (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS alarms_by_time ON alarms (at);`);
    this.#sql = sql;
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Rings from now on. */
  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#cancel();
  }

  /** Sets the alarm of a channel unless it has one. */
  ensure(channel: string, at: number): void {
    this.#sql.rows("INSERT INTO alarms (name, at) VALUES (?, ?) ON CONFLICT DO NOTHING", channel, at);
    this.#armFor(at);
  }

  /** Sets the alarm of a channel; null: nothing is due. */
  set(channel: string, at: number | null): void {
    if (at === null) {
      this.#sql.rows("DELETE FROM alarms WHERE name = ?", channel);
      return;
    }
    this.#sql.rows("INSERT OR REPLACE INTO alarms (name, at) VALUES (?, ?)", channel, at);
    this.#armFor(at);
  }

  #ring(): void {
    const now = this.#clock.now();
    // Also rings again when something here throws.
    this.#at = Number.POSITIVE_INFINITY;
    this.#armFor(now + RETRY_MS);
    const due = this.#sql.rows<{ name: string }>(
      "SELECT name FROM alarms WHERE at <= ? ORDER BY at LIMIT ?",
      now,
      WOKEN_AT_ONCE,
    );
    for (const { name } of due) {
      this.set(name, now + LOOK_AGAIN_MS);
      this.#wake(name);
    }
    this.#arm();
  }

  #arm(): void {
    const [next] = this.#sql.rows<{ at: number | null }>("SELECT min(at) AS at FROM alarms");
    this.#cancel();
    this.#at = Number.POSITIVE_INFINITY;
    this.#armFor(next?.at ?? Number.POSITIVE_INFINITY);
  }

  #armFor(at: number): void {
    if (at < this.#at) {
      this.#cancel();
      this.#at = at;
      this.#cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#ring());
    }
  }
}
