import { HubError } from "../../hub/errors.ts";
import { refusalResponse } from "../response/refusal.ts";
import type { Service } from "../service.ts";

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
  service: Service,
  answer: () => Promise<Response>,
): Promise<Response> {
  const address = service.addressOf(request);
  if (address === null || service.host.config.limits.max_requests_per_minute_per_address === 0) {
    return answer();
  }
  // The address of a request that the door has refused may be none.
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
      return refusalResponse(error, { streamsWhenBusy, lastEventId }, service.retryAfterSeconds);
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
