import { HubError } from "../../hub/errors.ts";
import { refusalResponse } from "../response/refusal.ts";
import type { Service } from "../service.ts";

/** Routes that require a credential in every deployment. */
const CREDENTIAL_ROUTE = /^\/api\/(?:publish|admin)(?:\/|$)/;

/** The route of streams. */
const STREAM_ROUTE = /^\/api\/events\/*$/;

/** A parameter by which a client asks for a refusal in the form of a stream. */
const ON_BUSY_STREAM = /[?&]on_busy=stream(?:&|$)/;
const BARE = /[?&]bare=1(?:&|$)/;

/**
 * Answers a request if its address has budget left. The request is counted before its query is parsed and before any
 * object is asked, so that a flood costs no more than the counting.
 *
 * A publish or a request for the administration does not count if its credential is valid, because a whole backend may
 * send from one address. Otherwise it counts, so that an address that guesses tokens uses up its budget.
 */
export async function withinBudget(
  request: Request,
  service: Service,
  answer: () => Promise<Response>,
): Promise<Response> {
  const address = service.addressOf(request);
  if (address === null || service.host.config.limits.max_requests_per_minute_per_address === 0) {
    return answer();
  }
  // The door may have refused this request because its URL is not valid.
  const pathname = URL.canParse(request.url) ? new URL(request.url).pathname : "";
  const charge = (): Promise<void> => service.budget.charge(address, service.host.rate);
  try {
    if (CREDENTIAL_ROUTE.test(pathname)) {
      const response = await answer();
      if (!service.proven.has(request) || response.status === 403) {
        await charge();
      }
      return response;
    }
    await charge();
  } catch (error) {
    if (error instanceof HubError) {
      service.refusals.note(error);
      const isStream = request.method === "GET" && STREAM_ROUTE.test(pathname);
      const streamsWhenBusy = isStream && ON_BUSY_STREAM.test(request.url);
      const lastEventId = streamsWhenBusy ? lastEventIdOf(request) : null;
      const isBare = BARE.test(request.url);
      return refusalResponse(error, { streamsWhenBusy, isBare, lastEventId }, service.retryAfterSeconds);
    }
    throw error;
  }
  return answer();
}

/** The id that a refused client brings, and should keep. The door has already bounded the query. */
function lastEventIdOf({ headers, url }: Request): string | null {
  const { searchParams } = new URL(url);
  const inQuery = searchParams.get("last_event_id") ?? searchParams.get("lastEventId");
  return headers.get("Last-Event-ID") || inQuery;
}
