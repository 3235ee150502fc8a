import type { Clock } from "../../hub/clock.ts";
import { HubError } from "../../hub/errors.ts";
import { Quota } from "../../hub/quota.ts";
import type { RateLimiter } from "../host.ts";

const REFUSAL = "This address has made too many requests in the last minute.";

/** The period in which the platform counts. */
const PERIOD_SECONDS = 60;

/**
 * Bounds the requests of an address in a minute, over all channels and routes. The count is exact within one isolate. The
 * platform's count, where there is one, is approximate and covers all isolates of a location.
 */
export class RequestBudget {
  readonly #quota: Quota;

  /** @param perMinute the most requests of one address; 0 for no limit */
  constructor(perMinute: number, clock: Clock) {
    this.#quota = new Quota(perMinute, REFUSAL, clock);
  }

  /**
   * Counts one request.
   *
   * @param address null if the address is not limited
   * @throws HubError `rate_limited`
   */
  async charge(address: string | null, rate?: RateLimiter): Promise<void> {
    this.#quota.use(address);
    if (address !== null && rate !== undefined && !(await isWithin(rate, address))) {
      throw new HubError("rate_limited", REFUSAL, { retryAfterSeconds: PERIOD_SECONDS });
    }
  }
}

/** If the platform's count fails, allow the request: the isolate has a count of its own. */
async function isWithin(rate: RateLimiter, address: string): Promise<boolean> {
  try {
    return (await rate.limit({ key: address })).success;
  } catch {
    return true;
  }
}
