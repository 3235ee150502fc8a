import { DurableObject } from "cloudflare:workers";
import type { Principal } from "../service/access/principal.ts";
import { TicketTable } from "../sql/ticket-table.ts";
import { answer, type Answer } from "../service/answer.ts";
import type { Env } from "./env.ts";
import { objectSql } from "./object-sql.ts";
import type { TicketsRpc } from "./objects.ts";

/** Stores a share of the unused tickets. */
export class TicketsObject extends DurableObject<Env> implements TicketsRpc {
  readonly #tickets: TicketTable;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#tickets = new TicketTable(objectSql(ctx.storage), 1);
  }

  /**
   * Keeps a ticket until it is used or expires.
   *
   * @param digest of the ticket, because a stolen copy of the storage must contain no usable ticket
   * @param address the buyer's address, as the limits per address count it; null if they do not apply
   * @returns false if too many tickets are unused already
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

  /** Uses a ticket up. Resolves to null if there is no such ticket, or if it has been used or has expired. */
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
