import { HubError } from "../hub/errors.ts";
import type { Sql } from "./sql.ts";

/** A window lasts this long from the first channel in it. */
const WINDOW_MS = 3_600_000;

/** How many keys are kept. An attacker with more addresses than this makes the directory forget the oldest ones. */
const KEYS = 10_000;

type Window = { started_at: number; uses: number };

/** The table that `CreationQuota` needs. */
export const CREATIONS_TABLE = `CREATE TABLE creations (
  key TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  uses INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX creations_by_start ON creations (started_at);`;

/** Bounds the channels that an address or a token creates in an hour. It is stored, so that an eviction does not reset it. */
export class CreationQuota {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /**
   * Counts one new channel.
   *
   * @param key null if it is not limited
   * @param limit 0 for no limit
   * @throws HubError `too_many_channels`
   */
  use(key: string | null, limit: number): void {
    if (key === null || limit === 0) {
      return;
    }
    const now = Date.now();
    const window = this.#windowOf(key, now);
    if (window.uses >= limit) {
      // After the clock was set back, no key must wait for longer than a window.
      const leftMs = Math.min(window.started_at + WINDOW_MS - now, WINDOW_MS);
      throw new HubError(
        "too_many_channels",
        "Too many new channels were created in the last hour. Use a channel that exists, or try again later.",
        {
          retryAfterSeconds: Math.ceil(leftMs / 1_000),
        },
      );
    }
    this.#sql.rows(
      "INSERT OR REPLACE INTO creations (key, started_at, uses) VALUES (?, ?, ?)",
      key,
      window.started_at,
      window.uses + 1,
    );
  }

  #windowOf(key: string, now: number): Window {
    const [window] = this.#sql.rows<Window>("SELECT started_at, uses FROM creations WHERE key = ?", key);
    if (window !== undefined && now - window.started_at < WINDOW_MS) {
      return window;
    }
    this.#makeRoom(now);
    return { started_at: now, uses: 0 };
  }

  #makeRoom(now: number): void {
    this.#sql.rows("DELETE FROM creations WHERE started_at <= ?", now - WINDOW_MS);
    this.#sql.rows(
      `DELETE FROM creations WHERE key IN
         (SELECT key FROM creations ORDER BY started_at DESC LIMIT -1 OFFSET ?)`,
      KEYS - 1,
    );
  }
}
