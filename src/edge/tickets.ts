import type { IRequest } from "itty-router";
import { hexDigest } from "../auth/digest.ts";
import { HubError } from "../hub/errors.ts";
import { addressOf } from "./address.ts";
import type { TicketAnswer } from "../wire/ticket.ts";
import type { Env } from "./env.ts";
import { authorize, unauthorized, type Principal } from "./guard.ts";
import { Query } from "./query.ts";
import type { TicketsObject } from "./tickets-object.ts";

/** How long a ticket waits to be used; less when the token that buys it ends before. */
const TICKET_SECONDS = 30;

/** Two random UUIDs without their dashes. The first digit says which of 16 objects keeps the ticket. */
const TICKET = /^[0-9a-f]{64}$/;

/**
 * `POST /api/tickets`: a ticket for one stream, for whoever may open one. It goes into a URL, where a token must not: it
 * is of no use to anybody who reads it in a log. Where streams are public nothing has to be kept.
 */
export async function issueTicket(request: IRequest, env: Env): Promise<Response> {
  const query = new Query(new URL(request.url).searchParams, []);
  const principal = await authorize(request, env, "subscribe");
  query.finish();
  const ticket = `${crypto.randomUUID()}${crypto.randomUUID()}`.replaceAll("-", "");
  const now = Date.now();
  const expiresAt = Math.min(now + TICKET_SECONDS * 1_000, principal.endsAt ?? Number.POSITIVE_INFINITY);
  const isKept =
    principal.subject === null ||
    (await keeperOf(ticket, env).keep(
      await hexDigest(ticket),
      principal,
      expiresAt,
      addressOf(request, env),
    ));
  if (!isKept) {
    const detail = "Too many tickets wait to be used.";
    throw new HubError("rate_limited", detail, { retryAfterSeconds: TICKET_SECONDS });
  }
  const expiresIn = Math.max(0, Math.floor((expiresAt - now) / 1_000));
  const body: TicketAnswer = { ticket, expires_in: expiresIn, expires_at: new Date(expiresAt).toISOString() };
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

/**
 * Uses a ticket up.
 *
 * @returns who bought it
 * @throws HubError `unauthorized`
 */
export async function redeemTicket(ticket: string, env: Env): Promise<Principal> {
  const principal = TICKET.test(ticket) ? await keeperOf(ticket, env).take(await hexDigest(ticket)) : null;
  if (principal === null) {
    throw unauthorized();
  }
  return principal;
}

function keeperOf(ticket: string, env: Env): DurableObjectStub<TicketsObject> {
  return env.TICKETS.get(env.TICKETS.idFromName(ticket.slice(0, 1)));
}
