import { DurableObject } from "cloudflare:workers";
import type { Principal } from "../service/access/principal.ts";
import { answer, type Answer } from "./answer.ts";
import type { Env } from "./env.ts";
import { migrate } from "./migrations.ts";
import type { TicketsRpc } from "./objects.ts";

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

/** Tickets that wait in one object, of one subject and of all. */
const TICKETS_OF_SUBJECT = 200;
const TICKETS = 20_000;

/** Tickets that wait in one object for one address: it must not use up what its subject may have. */
const TICKETS_OF_ADDRESS = 20;

/** Keeps a share of the tickets that were issued and not yet used. */
export class TicketsObject extends DurableObject<Env> implements TicketsRpc {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, MIGRATIONS);
  }

  /**
   * Keeps a ticket until it is used or expires.
   *
   * @param digest of the ticket: who reads the storage cannot use it
   * @param address that buys it, as the limits per address count; null: they do not apply
   * @returns false when too many wait already
   */
  keep(
    digest: string,
    principal: Principal,
    expiresAt: number,
    address: string | null,
  ): Promise<Answer<boolean>> {
    return answer(() => this.#keep(digest, principal, expiresAt, address));
  }

  /** Takes a ticket: nobody gets it a second time. Null: there is none, or not any more. */
  take(digest: string): Promise<Answer<Principal | null>> {
    return answer(() => this.#take(digest));
  }

  override async alarm(): Promise<void> {
    this.#forgetExpired();
    const [next] = this.ctx.storage.sql.exec<{ at: number | null }>(
      "SELECT MIN(expires_at) AS at FROM tickets",
    );
    if (next?.at) {
      await this.ctx.storage.setAlarm(next.at);
    }
  }

  async #keep(
    digest: string,
    principal: Principal,
    expiresAt: number,
    address: string | null,
  ): Promise<boolean> {
    const { sql } = this.ctx.storage;
    this.#forgetExpired();
    const subject = principal.subject ?? "";
    const isFull =
      this.#count("WHERE subject = ?", subject) >= TICKETS_OF_SUBJECT ||
      this.#count("WHERE address = ?", address) >= TICKETS_OF_ADDRESS ||
      this.#count("") >= TICKETS;
    if (isFull) {
      return false;
    }
    sql.exec(
      "INSERT INTO tickets (digest, subject, principal, expires_at, address) VALUES (?, ?, ?, ?, ?)",
      digest,
      subject,
      JSON.stringify(principal),
      expiresAt,
      address,
    );
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(expiresAt);
    }
    return true;
  }

  #take(digest: string): Principal | null {
    const [taken] = this.ctx.storage.sql.exec<{ principal: string; expires_at: number }>(
      "DELETE FROM tickets WHERE digest = ? RETURNING principal, expires_at",
      digest,
    );
    return taken === undefined || taken.expires_at <= Date.now()
      ? null
      : (JSON.parse(taken.principal) as Principal);
  }

  #forgetExpired(): void {
    this.ctx.storage.sql.exec("DELETE FROM tickets WHERE expires_at <= ?", Date.now());
  }

  #count(where: string, ...bindings: SqlStorageValue[]): number {
    const query = `SELECT COUNT(*) AS count FROM tickets ${where}`;
    return this.ctx.storage.sql.exec<{ count: number }>(query, ...bindings).one().count;
  }
}
