import { memberOf, parseData } from "./decode.ts";
import type { ProblemItem } from "../wire/problem.ts";
import { SSEProblem } from "./problem.ts";

/** Characters of the body of a refusal. The service's are shorter, and a longer one is not read. */
const LONGEST_BODY = 64 * 1024;

/** Part of a `Retry-After` that is added at random: those who were refused together do not come back together. */
const RETRY_AFTER_SPREAD = 0.2;

/** What waits of a client depend on. */
export interface Luck {
  now(): number;
  random(): number;
}

/**
 * A response that is not the one that was hoped for, as a problem. 4xx is final, but for 408 and 429.
 * Source of the body that the service sends: RFC 9457.
 */
export async function readRefusal(response: Response, luck: Luck): Promise<SSEProblem> {
  const { status, headers } = response;
  const isJson = /\bjson\b/i.test(headers.get("Content-Type") ?? "");
  const body = isJson ? parseData(await readText(response)) : await discard(response);
  const code = memberOf(body, "code");
  const detail = memberOf(body, "detail");
  const errors = memberOf(body, "errors");
  return new SSEProblem(
    typeof code === "string" ? code : `http_${status}`,
    typeof detail === "string" ? detail : `The service answered ${status}.`,
    {
      status,
      final: status >= 400 && status < 500 && status !== 408 && status !== 429,
      retryAfterMs: retryAfterMs(headers, luck),
      errors: Array.isArray(errors) ? (errors as ProblemItem[]) : undefined,
    },
  );
}

/** Lets a body go that nobody will read. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/** `Retry-After` (seconds, or a date) plus up to 20 %; undefined if there is none, or one that asks for no wait. */
function retryAfterMs(headers: Headers, { now, random }: Luck): number | undefined {
  const text = headers.get("Retry-After") ?? "";
  // By the clock of the service if it tells: that of this machine may be wrong.
  const ms = /^\d+$/.test(text)
    ? Number(text) * 1_000
    : Date.parse(text) - (Date.parse(headers.get("Date") ?? "") || now());
  return ms > 0 ? ms * (1 + RETRY_AFTER_SPREAD * random()) : undefined;
}

/** The text of a body; empty for one that is too long to be ours. */
export async function readText(response: Response): Promise<string> {
  if (response.body === null) {
    return "";
  }
  const reader = response.body.getReader();
  const utf8 = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    text += utf8.decode(value, { stream: !done });
    if (text.length > LONGEST_BODY) {
      await reader.cancel();
      return "";
    }
    if (done) {
      return text;
    }
  }
}
