import { HubError, type RefusalCode } from "../hub/errors.ts";

/** The refusals of a hub that keep their code. Their texts are written for clients. */
const PASSED_ON: ReadonlySet<string> = new Set<RefusalCode>([
  "limit",
  "address_limit",
  "rate_limited",
  "too_many_channels",
  "channels_full",
  "draining",
  "shutting_down",
  "busy",
  "hub_unreachable",
]);

/** How long to wait after an answer that only a change of the configuration can repair. */
const FINAL_SECONDS = 60;

/** The longest text of a refusal that is passed on. */
const DETAIL_LENGTH = 300;

/**
 * The refusal in an answer that is neither a stream nor a history.
 *
 * @param body the text of the answer; empty if it is no problem body
 */
export function refusalOf(response: Response, body: string, now: number): HubError {
  const { code, detail } = membersOf(body);
  const retryAfterSeconds = secondsUntilRetry(response.headers, now);
  if (typeof code === "string" && PASSED_ON.has(code) && typeof detail === "string") {
    return new HubError(code as RefusalCode, detail.slice(0, DETAIL_LENGTH), { retryAfterSeconds });
  }
  return unusable(response, retryAfterSeconds);
}

/** The refusal for an answer that no hub gives to a relay that is configured correctly. */
export function unusable({ status, type }: Response, retryAfterSeconds?: number): HubError {
  const passes = status >= 500 || status === 408 || status === 429;
  // A redirect that is not followed has no status in some runtimes.
  const answer = status === 0 ? type : String(status);
  return new HubError(
    "hub_unreachable",
    `The source of this channel cannot be read: it answered ${answer}.`,
    {
      retryAfterSeconds: retryAfterSeconds ?? (passes ? undefined : FINAL_SECONDS),
    },
  );
}

function membersOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** `Retry-After`, in seconds or as a date. */
function secondsUntilRetry(headers: Headers, now: number): number | undefined {
  const text = headers.get("Retry-After") ?? "";
  const seconds = /^[0-9]{1,9}$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - now) / 1_000);
  return seconds > 0 ? seconds : undefined;
}
