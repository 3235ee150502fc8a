import type { Principal } from "../service/access/principal.ts";
import { migrate } from "./migrations.ts";
import type { Sql } from "./sql.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE tickets (
     digest TEXT PRIMARY KEY,
     subject TEXT NOT NULL,
     principal TEXT NOT NULL,
     expires_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX tickets_by_expiry ON tickets (expires_at);
   CREATE INDEX tickets_by_subject ON tickets (subject);`,
  `ALTER TABLE tickets ADD COLUMN address TEXT;
   CREATE INDEX tickets_by_address ON tickets (address);`,
];

/** Tickets are divided into 16 shares by their first digit. */
export const TICKET_SHARES = 16;

/** The most unused tickets in a share, for one subject and for all. */
const TICKETS_OF_SUBJECT = 200;
const TICKETS = 20_000;

/** The most unused tickets of an address in a share. One address must not use up the tickets of its subject. */
const TICKETS_OF_ADDRESS = 20;

/** A stored ticket. */
export interface KeptTicket {
  /** The digest of the ticket, so that a reader of the storage cannot use it. */
  readonly digest: string;
  readonly principal: Principal;
  readonly expiresAt: number;
  /** The buyer's address, as the limits per address count it; null if they do not apply. */
  readonly address: string | null;
}

/** Tickets that were issued and not yet used. */
export class TicketTable {
  readonly #sql: Sql;
  readonly #shares: number;

  /** @param shares how many shares are in this table */
  constructor(sql: Sql, shares: number) {
    migrate(sql, MIGRATIONS);
    this.#sql = sql;
    this.#shares = shares;
  }

  /** Stores a ticket until it is used or expires. Returns false if too many are unused already. */
  keep({ digest, principal, expiresAt, address }: KeptTicket): boolean {
    this.forgetExpired();
    const subject = principal.subject ?? "";
    const isFull =
      this.#count("WHERE subject = ?", subject) >= TICKETS_OF_SUBJECT * this.#shares ||
      this.#count("WHERE address = ?", address) >= TICKETS_OF_ADDRESS * this.#shares ||
      this.#count("") >= TICKETS * this.#shares;
    if (isFull) {
      return false;
    }
    this.#sql.rows(
      "INSERT INTO tickets (digest, subject, principal, expires_at, address) VALUES (?, ?, ?, ?, ?)",
      digest,
      subject,
      JSON.stringify(principal),
      expiresAt,
      address,
    );
    return true;
  }

  /** Takes a ticket, which can be taken once. Null if there is no such ticket, or if it has expired. */
  take(digest: string): Principal | null {
    const [taken] = this.#sql.rows<{ principal: string; expires_at: number }>(
      "DELETE FROM tickets WHERE digest = ? RETURNING principal, expires_at",
      digest,
    );
    return taken === undefined || taken.expires_at <= Date.now()
      ? null
      : (JSON.parse(taken.principal) as Principal);
  }

  forgetExpired(): void {
    this.#sql.rows("DELETE FROM tickets WHERE expires_at <= ?", Date.now());
  }

  /** When the next ticket expires; null if there is none. */
  nextExpiry(): number | null {
    return this.#sql.rows<{ at: number | null }>("SELECT MIN(expires_at) AS at FROM tickets")[0]?.at ?? null;
  }

  #count(where: string, ...bindings: readonly (string | null)[]): number {
    const query = `SELECT COUNT(*) AS count FROM tickets ${where}`;
    return this.#sql.rows<{ count: number }>(query, ...bindings)[0]?.count ?? 0;
  }
}
