import { memberOf, parseData } from "./decode.ts";
import type { Environment } from "./environment.ts";
import { SSEProblem } from "./problem.ts";
import { discard, readRefusal, readText } from "./refusal.ts";

export interface TicketRequest {
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly credentials: "include" | undefined;
  readonly signal: AbortSignal;
}

/**
 * Buys a ticket for one connect.
 *
 * @throws SSEProblem for a refusal, which is as final as a refusal of the stream
 */
export async function buyTicket(
  { url, headers, credentials, signal }: TicketRequest,
  environment: Environment,
): Promise<string> {
  const response = await environment.fetch(url.href, {
    method: "POST",
    headers,
    cache: "no-store",
    ...(credentials && { credentials }),
    signal,
  });
  if (response.status !== 200) {
    throw await readRefusal(response, environment);
  }
  const type = response.headers.get("Content-Type") ?? "";
  const body = /\bjson\b/i.test(type) ? parseData(await readText(response)) : await discard(response);
  const ticket = memberOf(body, "ticket");
  if (typeof ticket !== "string" || ticket === "") {
    const detail = `Expected a ticket, got ${type || "no content type"}.`;
    throw new SSEProblem("content_type", detail, { status: 200 });
  }
  return ticket;
}
