import type { Clock } from "./clock.ts";
import type { Closing } from "./closing.ts";
import type { Counters } from "./counters.ts";
import type { DurableLog } from "./durable-log.ts";
import { HubError } from "./errors.ts";
import type { NewEvent, Receipt } from "./event-log.ts";
import { createFilter, type Filter, type FilterTerms } from "./filter.ts";
import type { Logger } from "./logger.ts";
import { Quota } from "./quota.ts";
import { Refusals } from "./refusals.ts";

const TOO_MANY_PUBLISHES = "This token has made as many publishes as it may in a minute.";

/** What publishing needs from its hub. */
export interface PublishingPort {
  readonly log: DurableLog;
  readonly closing: Closing;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes events into the log, counts them, and bounds how many times a token may do so. */
export class Publishing {
  readonly #port: PublishingPort;
  readonly #quota: Quota;
  readonly #refusals: Refusals;
  #hasFailed = false;

  /** @param perMinute publishes of one token; 0: not limited. */
  constructor(perMinute: number, port: PublishingPort) {
    const { counters, clock, logger } = port;
    this.#port = port;
    this.#quota = new Quota(perMinute, TOO_MANY_PUBLISHES, clock);
    this.#refusals = new Refusals("publish_refused", counters.publishRejections, clock, logger);
  }

  /** Whether the last events could not be stored. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Stores events. Answers once they are durable.
   *
   * @param publisher the token that they come with, as a key to count by; null: it is not limited.
   * @param grant what that token grants.
   * @throws HubError `shutting_down`, `rate_limited`, `key_taken` or `storage_full`
   */
  async take(events: readonly NewEvent[], publisher: string | null, grant: FilterTerms): Promise<Receipt[]> {
    try {
      if (this.#port.closing.isComplete) {
        throw new HubError("shutting_down", "The service is shutting down.");
      }
      this.#quota.use(publisher);
      return await this.#append(events, createFilter(grant));
    } catch (error) {
      this.#refusals.note(error);
      throw error;
    }
  }

  /** Forgets whose minute is over. */
  tidy(): void {
    this.#quota.tidy();
  }

  async #append(events: readonly NewEvent[], grant: Filter): Promise<Receipt[]> {
    const { log, counters, logger } = this.#port;
    try {
      const receipts = await log.append(events, grant);
      const duplicates = receipts.filter((receipt) => receipt.duplicate).length;
      counters.published += receipts.length - duplicates;
      counters.duplicates += duplicates;
      this.#hasFailed = false;
      return receipts;
    } catch (error) {
      if (error instanceof HubError && error.code === "key_taken") {
        throw error;
      }
      this.#hasFailed = true;
      logger("error", "append_failed", { events: events.length, error: String(error) });
      throw error;
    }
  }
}
