import { HubError } from "../hub/errors.ts";
import { addressOf } from "./address.ts";
import type { Env } from "./env.ts";
import { hasProvenCredential } from "./guard.ts";
import { noteRefusal } from "./refusal-log.ts";
import { refusalResponse } from "./refusal.ts";
import { RequestBudget } from "./request-budget.ts";
import { systemClock } from "./system-clock.ts";

/** Routes that take a credential in every deployment. */
const CREDENTIAL_ROUTE = /^\/api\/(?:publish|admin)(?:\/|$)/;

/** A stream whose client asks to be refused by a stream. */
const STREAM_ROUTE = /^\/api\/events\/*$/;
const ON_BUSY_STREAM = /[?&]on_busy=stream(?:&|$)/;

/**
 * Answers a request if its address has budget left. The count is made before the query is parsed and before any object
 * is asked, so that a flood costs nothing more than this.
 *
 * A publish or an administration with a valid credential costs nothing: one address may stand for a whole backend. If
 * it is refused for its credential it counts as any other request, and guessing tokens ends with the budget.
 */
export async function withinBudget(
  request: Request,
  env: Env,
  answer: () => Promise<Response>,
): Promise<Response> {
  const address = addressOf(request, env);
  if (address === null || env.LIMITS.max_requests_per_minute_per_address === 0) {
    return answer();
  }
  // The address of a request that the door has refused may be none.
  const pathname = URL.canParse(request.url) ? new URL(request.url).pathname : "";
  const charge = (): Promise<void> => budgetOf(env).charge(address, env.REQUEST_RATE);
  try {
    if (CREDENTIAL_ROUTE.test(pathname)) {
      const response = await answer();
      if (!hasProvenCredential(request) || response.status === 403) {
        await charge();
      }
      return response;
    }
    await charge();
  } catch (error) {
    if (error instanceof HubError) {
      noteRefusal(error, env);
      const isStream = request.method === "GET" && STREAM_ROUTE.test(pathname);
      const streamsWhenBusy = isStream && ON_BUSY_STREAM.test(request.url);
      return refusalResponse(
        error,
        { streamsWhenBusy, lastEventId: lastEventIdOf(request) },
        env.SSE.retry_after_seconds,
      );
    }
    throw error;
  }
  return answer();
}

/** The id that a refused client wants to keep. The door has bounded the query by now. */
function lastEventIdOf({ headers, url }: Request): string | null {
  const { searchParams } = new URL(url);
  const inQuery = searchParams.get("last_event_id") ?? searchParams.get("lastEventId");
  return headers.get("Last-Event-ID") || inQuery;
}

/** One for each isolate. */
const budgets = new WeakMap<object, RequestBudget>();

function budgetOf({ LIMITS }: Env): RequestBudget {
  const perMinute = LIMITS.max_requests_per_minute_per_address;
  const budget = budgets.get(LIMITS) ?? new RequestBudget(perMinute, systemClock);
  budgets.set(LIMITS, budget);
  return budget;
}
