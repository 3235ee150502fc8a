import type { KeyValues, Sql } from "./sql.ts";

/** A drain of all channels. */
interface DrainOfAll {
  readonly until: number;
  /** The epoch that it began with. */
  readonly number: number;
}

type Row = { own_until: number; exempt_from: number };

/** Which channels are draining, until when, and which hubs were told. */
export class DrainTable {
  readonly #sql: Sql;
  readonly #kv: KeyValues;

  constructor(sql: Sql, kv: KeyValues) {
    this.#sql = sql;
    this.#kv = kv;
    this.#adopt();
  }

  /** When the drain of a channel ends, whether it was drained alone or with all channels. */
  of(channel: string): { readonly epoch: number; readonly drainUntil: number | null } {
    const query = "SELECT own_until, exempt_from FROM drains WHERE name = ?";
    const [row] = this.#sql.rows<Row>(query, channel);
    const all = this.#ofAll();
    const fromAll = all !== null && row?.exempt_from !== all.number ? all.until : 0;
    const until = Math.max(fromAll, row?.own_until ?? 0);
    return { epoch: this.#epoch(), drainUntil: until > Date.now() ? until : null };
  }

  /** Drains all channels. Returns the epoch. */
  drainAll(until: number): number {
    const epoch = this.#advance();
    this.#forgetOver();
    this.#kv.put<DrainOfAll>("drain", { until, number: epoch });
    this.#sql.rows(
      `INSERT INTO drains (name, own_until, told_until, exempt_from, epoch)
         SELECT name, 0, ?, 0, ? FROM channels WHERE is_occupied = 1
       ON CONFLICT (name) DO UPDATE SET told_until = max(told_until, excluded.told_until), epoch = excluded.epoch`,
      until,
      epoch,
    );
    return epoch;
  }

  /** Ends all drains. The note about each hub stays until the hub was told of the end. Returns the epoch. */
  resumeAll(): number {
    this.#kv.delete("drain");
    this.#sql.rows("UPDATE drains SET own_until = 0, exempt_from = 0");
    this.#sql.rows("DELETE FROM drains WHERE name NOT IN (SELECT name FROM channels)");
    return this.#advance();
  }

  drain(channel: string, until: number): void {
    const epoch = this.#advance();
    this.#forgetOver();
    this.#sql.rows(
      `INSERT INTO drains (name, own_until, told_until, exempt_from, epoch) VALUES (?1, ?2, ?2, 0, ?3)
       ON CONFLICT (name) DO UPDATE SET own_until = ?2, told_until = max(told_until, ?2), epoch = ?3`,
      channel,
      until,
      epoch,
    );
  }

  resume(channel: string): void {
    const epoch = this.#advance();
    const all = this.#ofAll();
    if (all === null) {
      this.#sql.rows("DELETE FROM drains WHERE name = ?", channel);
      return;
    }
    this.#sql.rows(
      "INSERT OR REPLACE INTO drains (name, own_until, told_until, exempt_from, epoch) VALUES (?, 0, ?, ?, ?)",
      channel,
      all.until,
      all.number,
      epoch,
    );
  }

  /** Notes that the hub of a channel knows of a drain. */
  told(channel: string, until: number): void {
    this.#sql.rows(
      `INSERT INTO drains (name, own_until, told_until, exempt_from, epoch) VALUES (?1, 0, ?2, 0, ?3)
       ON CONFLICT (name) DO UPDATE SET told_until = max(told_until, ?2), epoch = ?3`,
      channel,
      until,
      this.#epoch(),
    );
  }

  /** The channels with a note. */
  channels(after: string, limit: number): string[] {
    return this.#sql
      .rows<{ name: string }>("SELECT name FROM drains WHERE name > ? ORDER BY name LIMIT ?", after, limit)
      .map((row) => row.name);
  }

  /** Deletes the note of a channel if it is older than an epoch. */
  forget(channel: string, epoch: number): void {
    this.#sql.rows("DELETE FROM drains WHERE name = ? AND epoch < ?", channel, epoch);
  }

  clear(): void {
    this.#kv.delete("drain");
    this.#sql.rows("DELETE FROM drains");
  }

  /** Takes over a drain of all channels from a version without this table. That version told every hub. */
  #adopt(): void {
    const before = this.#kv.get<{ readonly value?: number }>("drain")?.value;
    if (before !== undefined) {
      this.drainAll(before);
    }
  }

  #ofAll(): DrainOfAll | null {
    const all = this.#kv.get<DrainOfAll>("drain");
    return all !== undefined && all.until > Date.now() ? all : null;
  }

  /** Deletes the notes of drains that have ended by their time, which every hub knows by itself. */
  #forgetOver(): void {
    this.#sql.rows("DELETE FROM drains WHERE told_until <= ?1 AND own_until <= ?1", Date.now());
  }

  #epoch(): number {
    return this.#kv.get<number>("epoch") ?? 0;
  }

  #advance(): number {
    const epoch = this.#epoch() + 1;
    this.#kv.put("epoch", epoch);
    return epoch;
  }
}
