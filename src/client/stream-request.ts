import type { StreamRequest } from "./connection.ts";
import type { Position } from "./cursor.ts";
import type { Environment } from "./environment.ts";
import { toProblem } from "./problem.ts";
import type { Id, Token } from "./request-types.ts";
import { buyTicket } from "./ticket.ts";
import type { SSEClientOptions } from "./types.ts";

const FIELD_NAME = /^[a-z][a-z0-9_]{0,31}$/;

/**
 * The part of a stream's URL that all of its connects have in common.
 *
 * @throws TypeError for invalid options
 */
export function streamUrl(options: SSEClientOptions, baseUrl: string | undefined): URL {
  const { url: location = "/api/events", channel, types, since, envelope, caughtUp } = options;
  const url = absoluteUrl(location, baseUrl);
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) {
      url.searchParams.set(name, value);
    }
  };
  set("channel", channel);
  set("types", types && list("types", types));
  for (const { option, name, value } of fieldsOf(options)) {
    set(name, ids(option, value));
  }
  set("envelope", envelope === true ? "1" : undefined);
  set("caught_up", caughtUp === true ? "1" : undefined);
  set("since", since instanceof Date ? since.toISOString() : since);
  return url;
}

/** @throws TypeError for an invalid URL, and for a relative one where there is no page */
export function absoluteUrl(location: string | URL, baseUrl: string | undefined, option = "url"): URL {
  try {
    return new URL(location, baseUrl);
  } catch (cause) {
    throw new TypeError(`${option}: expected a URL, absolute where there is no page, got ${location}`, {
      cause,
    });
  }
}

/**
 * The URL that sells tickets for a stream. Undefined if the stream takes the token itself.
 *
 * @throws TypeError for an invalid URL
 */
export function ticketUrl(
  { ticket = false }: SSEClientOptions,
  stream: URL,
  baseUrl: string | undefined,
): URL | undefined {
  if (ticket === false) {
    return undefined;
  }
  return ticket === true ? new URL("tickets", stream) : absoluteUrl(ticket, baseUrl, "ticket");
}

export interface StreamRoute {
  readonly stream: URL;
  readonly tickets: URL | undefined;
}

/**
 * The request that resumes after a position. Buys a ticket first if the options ask for tickets.
 *
 * @param refresh whether the last token is refused or about to expire
 */
export async function streamRequest(
  { stream, tickets }: StreamRoute,
  position: Position,
  { token, withCredentials }: SSEClientOptions,
  environment: Environment,
  refresh: boolean,
  signal: AbortSignal,
): Promise<StreamRequest> {
  const credentials = withCredentials === true ? "include" : undefined;
  let carried = await bearer(token, refresh);
  const url = new URL(stream);
  if (tickets !== undefined) {
    // The attempt may have been given up while the token was fetched.
    signal.throwIfAborted();
    const ticket = await buyTicket({ url: tickets, headers: carried, credentials, signal }, environment);
    url.searchParams.set("ticket", ticket);
    carried = {};
  }
  const headers: Record<string, string> = { Accept: "text/event-stream", ...carried };
  // Read the position last: the stream that is still open may have moved it.
  const { id, log } = position;
  if (id !== "") {
    headers["Last-Event-ID"] = id;
    url.searchParams.delete("since");
    if (log !== undefined) {
      url.searchParams.set("log", log);
    }
  }
  return { url: url.href, headers, credentials };
}

/**
 * The `Authorization` header. Empty without a token.
 *
 * @throws SSEProblem `token` if the token function fails
 */
export async function bearer(token: Token | undefined, refresh: boolean): Promise<Record<string, string>> {
  try {
    const value = typeof token === "function" ? await token(refresh) : token;
    return value ? { Authorization: `Bearer ${value}` } : {};
  } catch (error) {
    throw toProblem(error, "token");
  }
}

interface WantedField {
  /** As the developer has written it. */
  readonly option: string;
  readonly name: string;
  readonly value: Id | readonly Id[] | undefined;
}

/** @throws TypeError for a name that no field can have, and for a field that is given twice */
function fieldsOf({ where = {}, projectId, agentId }: SSEClientOptions): readonly WantedField[] {
  const fields = [
    ...Object.entries(where).map(([name, value]) => ({ option: `where.${name}`, name, value })),
    { option: "projectId", name: "project_id", value: projectId },
    { option: "agentId", name: "agent_id", value: agentId },
  ].filter(({ value }) => value !== undefined);
  for (const [index, { option, name }] of fields.entries()) {
    if (!FIELD_NAME.test(name)) {
      throw new TypeError(`${option}: expected the name of a field, [a-z][a-z0-9_]{0,31}`);
    }
    const first = fields.findIndex((field) => field.name === name);
    if (first < index) {
      throw new TypeError(`${option}: ${fields[first]?.option} has values for the same field. Give only one`);
    }
  }
  return fields;
}

function ids(option: string, value: Id | readonly Id[] | undefined): string | undefined {
  if (value === undefined) {
    return undefined;
  }
  const texts = (Array.isArray(value) ? value : [value]).map(String);
  if (texts.length === 0) {
    throw new TypeError(`${option}: expected at least one id. Leave the option out to get all events`);
  }
  return list(option, texts);
}

function list(option: string, entries: readonly string[]): string {
  const wrong = entries.find((entry) => entry === "" || entry.includes(","));
  if (wrong !== undefined) {
    throw new TypeError(`${option}: expected entries without a comma that are not empty, got "${wrong}"`);
  }
  return entries.join(",");
}
