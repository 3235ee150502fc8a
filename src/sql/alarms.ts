import type { Clock } from "../hub/clock.ts";
import type { Sql } from "./sql.ts";

/** How soon to ring again after a failure. */
const RETRY_MS = 10_000;

/** How many channels are woken at a time. */
const WOKEN_AT_ONCE = 50;

/** When to wake a channel again whose hub could not be opened. */
const LOOK_AGAIN_MS = 600_000;

/** Instead of a time: the hub is open, and a timer of its own rings for it. */
const OPEN = 0;

/**
 * When the channels whose hubs are closed have something to do, such as to trim a log. The table survives a restart. A
 * hub that was open when the process died is woken by the next start.
 */
export class Alarms {
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #wake: (channel: string) => void;
  #at = Number.POSITIVE_INFINITY;
  #cancel: () => void = () => {};

  /** @param wake opens the hub of a channel, which then does the work that is due */
  constructor(sql: Sql, clock: Clock, wake: (channel: string) => void) {
    sql.script(`CREATE TABLE IF NOT EXISTS alarms (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS alarms_by_time ON alarms (at);`);
    this.#sql = sql;
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Rings from now on. */
  start(): void {
    this.#sql.rows("UPDATE alarms SET at = ? WHERE at = ?", this.#clock.now(), OPEN);
    this.#arm();
  }

  /** Resolves when the alarms that were set are durable. */
  kept(): Promise<void> {
    return this.#sql.sync();
  }

  stop(): void {
    this.#cancel();
  }

  /** Leaves the alarm of a channel to its hub, which is open. */
  leaveToHub(channel: string): void {
    this.#sql.rows("INSERT OR REPLACE INTO alarms (name, at) VALUES (?, ?)", channel, OPEN);
  }

  /** Sets the alarm of a channel whose hub is closed. Null: nothing is due. */
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
      "SELECT name FROM alarms WHERE at > ? AND at <= ? ORDER BY at LIMIT ?",
      OPEN,
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
    const [next] = this.#sql.rows<{ at: number | null }>(
      "SELECT min(at) AS at FROM alarms WHERE at > ?",
      OPEN,
    );
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
