import type { Sql, SqlValue } from "./sql.ts";

/** A hub's answer to the request to forget its channel. */
export type Forgotten = "forgotten" | "in_use" | "published";

/** A channel that only clients have used, and the time of its last client. */
export interface Vacant {
  readonly name: string;
  readonly usedAt: number;
}

/** The channels that exist. */
export class ChannelTable {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  has(name: string): boolean {
    return this.#count("WHERE name = ?", name) > 0;
  }

  isPublished(name: string): boolean {
    return this.#count("WHERE name = ? AND is_published = 1", name) > 0;
  }

  count(): number {
    return this.#count("");
  }

  /** How many channels were never published to. */
  countUnpublished(): number {
    return this.#count("WHERE is_published = 0");
  }

  /** Enters a channel, or notes that it was published to. */
  add(name: string, isPublished: boolean): void {
    this.#sql.rows(
      `INSERT INTO channels (name, is_published, is_occupied, used_at) VALUES (?, ?, 0, ?)
       ON CONFLICT (name) DO UPDATE SET is_published = max(is_published, excluded.is_published), used_at = excluded.used_at`,
      name,
      Number(isPublished),
      Date.now(),
    );
  }

  setOccupied(name: string, isOccupied: boolean): void {
    this.#sql.rows(
      "UPDATE channels SET is_occupied = ?, used_at = ? WHERE name = ? AND is_occupied <> ?",
      Number(isOccupied),
      Date.now(),
      name,
      Number(isOccupied),
    );
  }

  vacateAll(): void {
    this.#sql.rows("UPDATE channels SET is_occupied = 0 WHERE is_occupied = 1");
  }

  occupied(after: string, limit: number): string[] {
    return this.#names("WHERE is_occupied = 1 AND name > ? ORDER BY name LIMIT ?", after, limit);
  }

  active(limit: number): string[] {
    return this.#names("ORDER BY is_occupied DESC, used_at DESC LIMIT ?", limit);
  }

  /** Channels that were never published to, and have had no client since a time. */
  vacantSince(time: number, limit: number): Vacant[] {
    const query = `SELECT name, used_at FROM channels
       WHERE is_published = 0 AND is_occupied = 0 AND used_at <= ? ORDER BY used_at LIMIT ?`;
    return this.#sql
      .rows<{ name: string; used_at: number }>(query, time, limit)
      .map(({ name, used_at: usedAt }) => ({ name, usedAt }));
  }

  /** Since when the first of such channels has had no client; null if there is none. */
  oldestVacant(): number | null {
    const query = "SELECT min(used_at) AS at FROM channels WHERE is_published = 0 AND is_occupied = 0";
    return this.#sql.rows<{ at: number | null }>(query)[0]?.at ?? null;
  }

  /** Notes what became of a vacant channel, unless it has been used since. */
  settle(name: string, usedAt: number, found: Forgotten): void {
    if (found === "published") {
      this.add(name, true);
      return;
    }
    const change = found === "forgotten" ? "DELETE FROM channels" : "UPDATE channels SET used_at = ?";
    const unused = "WHERE name = ? AND is_published = 0 AND is_occupied = 0 AND used_at = ?";
    this.#sql.rows(`${change} ${unused}`, ...(found === "forgotten" ? [] : [Date.now()]), name, usedAt);
  }

  #count(where: string, ...bindings: SqlValue[]): number {
    const query = `SELECT count(*) AS count FROM channels ${where}`;
    return this.#sql.rows<{ count: number }>(query, ...bindings)[0]?.count ?? 0;
  }

  #names(rest: string, ...bindings: SqlValue[]): string[] {
    return this.#sql
      .rows<{ name: string }>(`SELECT name FROM channels ${rest}`, ...bindings)
      .map((row) => row.name);
  }
}
