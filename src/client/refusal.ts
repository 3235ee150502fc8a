import { memberOf, parseData } from "./decode.ts";
import type { ProblemItem } from "../wire/problem.ts";
import { SSEProblem } from "./problem.ts";

/** The longest body of a refusal that is read, in characters. Those of the service are much shorter. */
const LONGEST_BODY = 64 * 1024;

/** The random part added to a `Retry-After`, so that clients refused together do not come back together. */
const RETRY_AFTER_SPREAD = 0.2;

export interface Luck {
  now(): number;
  random(): number;
}

/** Turns a refusal into a problem. A 4xx is final, except for 408 and 429. RFC 9457 describes the body. */
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

/** Frees the connection of a response whose body is not needed. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/** `Retry-After`, in seconds or as a date, plus up to 20 %. Undefined if there is none, or if it is over. */
function retryAfterMs(headers: Headers, { now, random }: Luck): number | undefined {
  const text = headers.get("Retry-After") ?? "";
  // A date is compared with the `Date` of the service, because the clock of this machine may be wrong.
  const ms = /^\d+$/.test(text)
    ? Number(text) * 1_000
    : Date.parse(text) - (Date.parse(headers.get("Date") ?? "") || now());
  return ms > 0 ? ms * (1 + RETRY_AFTER_SPREAD * random()) : undefined;
}

/** The text of a body. Empty if the body is too long to be one of the service. */
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
