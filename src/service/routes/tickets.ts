import type { IRequest } from "itty-router";
import { HubError } from "../../hub/errors.ts";
import type { TicketAnswer } from "../../wire/ticket.ts";
import { authorize } from "../access/authorize.ts";
import type { Principal } from "../access/principal.ts";
import { Query } from "../request/query.ts";
import { unauthorized } from "../response/problem.ts";
import type { Service } from "../service.ts";

/** How long a ticket is valid, unless the token that buys it expires earlier. */
const TICKET_SECONDS = 30;

/** The form of a ticket: two random UUIDs without dashes. */
const TICKET = /^[0-9a-f]{64}$/;

/**
 * `POST /api/tickets`: issues a ticket for one stream to a client that may open streams. URLs end up in logs, so a token must
 * not be in a URL. A ticket may, because it works once and for a short time. Where streams are public, no ticket is stored.
 */
export async function issueTicket(request: IRequest, service: Service): Promise<Response> {
  const query = new Query(new URL(request.url).searchParams, []);
  const principal = await authorize(request, service, "subscribe");
  query.finish();
  const ticket = `${crypto.randomUUID()}${crypto.randomUUID()}`.replaceAll("-", "");
  const now = service.host.clock.now();
  const expiresAt = Math.min(now + TICKET_SECONDS * 1_000, principal.endsAt ?? Number.POSITIVE_INFINITY);
  const isKept =
    principal.subject === null ||
    (await service.host.tickets.keep(ticket, principal, expiresAt, service.addressOf(request)));
  if (!isKept) {
    const detail =
      "Too many tickets of this address or token are unused. Use them, or wait until they expire.";
    throw new HubError("rate_limited", detail, { retryAfterSeconds: TICKET_SECONDS });
  }
  const expiresIn = Math.max(0, Math.floor((expiresAt - now) / 1_000));
  const body: TicketAnswer = { ticket, expires_in: expiresIn, expires_at: new Date(expiresAt).toISOString() };
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

/**
 * Uses a ticket up.
 *
 * @returns the principal that the ticket was issued to
 * @throws Problem `unauthorized`
 */
export async function redeemTicket(ticket: string, service: Service): Promise<Principal> {
  const principal = TICKET.test(ticket) ? await service.host.tickets.take(ticket) : null;
  if (principal === null) {
    throw unauthorized();
  }
  return principal;
}
