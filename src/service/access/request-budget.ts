import type { Clock } from "../../hub/clock.ts";
import { HubError } from "../../hub/errors.ts";
import { Quota } from "../../hub/quota.ts";
import type { RateLimiter } from "../host.ts";

const REFUSAL = "This address has made too many requests in a minute.";

/** The period of the platform's count. */
const PERIOD_SECONDS = 60;

/**
 * How many requests each address may make in a minute, over all channels and routes. Exact within one isolate; the
 * platform's count, where there is one, is approximate and covers all isolates of a location.
 */
export class RequestBudget {
  readonly #quota: Quota;

  /** @param perMinute requests of one address; 0: not limited. */
  constructor(perMinute: number, clock: Clock) {
    this.#quota = new Quota(perMinute, REFUSAL, clock);
  }

  /**
   * Counts one request. The address null is not limited.
   *
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
