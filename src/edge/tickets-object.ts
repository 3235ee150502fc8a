import { DurableObject } from "cloudflare:workers";
import type { Principal } from "../service/access/principal.ts";
import { TicketTable } from "../sql/ticket-table.ts";
import { answer, type Answer } from "../service/answer.ts";
import type { Env } from "./env.ts";
import { objectSql } from "./object-sql.ts";
import type { TicketsRpc } from "./objects.ts";

/** Keeps a share of the tickets that were issued and not yet used. */
export class TicketsObject extends DurableObject<Env> implements TicketsRpc {
  readonly #tickets: TicketTable;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#tickets = new TicketTable(objectSql(ctx.storage), 1);
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
    return answer(async () => {
      const isKept = this.#tickets.keep({ digest, principal, expiresAt, address });
      if (isKept && (await this.ctx.storage.getAlarm()) === null) {
        await this.ctx.storage.setAlarm(expiresAt);
      }
      return isKept;
    });
  }

  /** Takes a ticket: nobody gets it a second time. Null: there is none, or not any more. */
  take(digest: string): Promise<Answer<Principal | null>> {
    return answer(() => this.#tickets.take(digest));
  }

  override async alarm(): Promise<void> {
    this.#tickets.forgetExpired();
    const next = this.#tickets.nextExpiry();
    if (next !== null) {
      await this.ctx.storage.setAlarm(next);
    }
  }
}
