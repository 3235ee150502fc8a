import { HubError } from "../errors.ts";
import { createFilter, type Filter, type FilterTerms } from "../filter.ts";
import type { HubSettings } from "../hub-settings.ts";
import { Quota } from "../quota.ts";
import { RefusalRecord } from "../refusal-record.ts";
import type { HubParts } from "../hub-parts.ts";
import { DurableLog } from "./durable-log.ts";
import type { EventLog, NewEvent, Receipt } from "./event-log.ts";
import { PageReader } from "./page-reader.ts";
import { HistoryQueue } from "./history-queue.ts";
import { HistoryReading, type HistoryPage } from "./history.ts";
import type { LogView, StartRequest } from "./log-view.ts";
import { Retention } from "./retention.ts";
import { Trimmer } from "./trimmer.ts";

const TOO_MANY_PUBLISHES = "This token has published too often in the last minute.";

/** A request for a part of the history. */
export interface HistoryRequest {
  readonly terms: FilterTerms;
  readonly start: StartRequest;
  /** The most events in the answer. */
  readonly limit: number;
  /** The client's address, as in a `ConnectRequest`: addresses take turns. */
  readonly address: string | null;
}

/** The half of a hub that stores: order, durability, keys, retention and history of one channel. */
export class Ledger {
  readonly #log: EventLog;
  readonly #parts: HubParts;
  readonly #durable: DurableLog;
  readonly #trimmer: Trimmer;
  readonly #publishes: Quota;
  readonly #refusedPublishes: RefusalRecord;
  readonly #readings: HistoryQueue;
  readonly #refusedReadings: RefusalRecord;
  #hasFailed = false;

  constructor(settings: HubSettings, log: EventLog, parts: HubParts) {
    const { clock, logger, counters, alarm } = parts;
    const retention = new Retention(log, settings.retention);
    this.#log = log;
    this.#parts = parts;
    this.#durable = new DurableLog(log, new PageReader(log), retention, clock);
    this.#trimmer = new Trimmer(log, retention, clock, alarm);
    this.#publishes = new Quota(settings.maxPublishesPerMinutePerToken, TOO_MANY_PUBLISHES, clock);
    this.#refusedPublishes = new RefusalRecord("publish_refused", counters.publishRejections, clock, logger);
    this.#readings = new HistoryQueue(clock);
    this.#refusedReadings = new RefusalRecord("history_refused", counters.historyRejections, clock, logger);
  }

  /** The log as the audience sees it. */
  get view(): LogView {
    return this.#durable;
  }

  /** Whether the last publish failed because its events could not be stored. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Stores events in one transaction. Resolves once they are durable. The new head of `view` wakes the audience, which
   * delivers them: see `LogView.onAdvance`.
   *
   * @param publisher the publisher's token, as the key by which the limit counts; null for no limit
   * @param grant the events that the publisher may know about: see `EventLog.append`
   * @throws HubError `shutting_down`, `rate_limited`, `key_taken` or `storage_full`
   */
  async publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms,
  ): Promise<Receipt[]> {
    try {
      this.#parts.closing.requireOpenToPublishes();
      this.#publishes.use(publisher);
      this.#relieveLog();
      const receipts = await this.#append(events, createFilter(grant));
      this.armTrimming();
      return receipts;
    } catch (error) {
      this.#refusedPublishes.note(error);
      throw error;
    }
  }

  /**
   * Reads the history as a stream would replay it, when it is this address's turn.
   *
   * @throws HubError `busy`
   */
  async history({ start, terms, limit, address }: HistoryRequest): Promise<HistoryPage> {
    try {
      return await this.#readings.read(address, () => {
        const from = this.#durable.startingPoint(start);
        return new HistoryReading(this.#log, this.#durable, from, createFilter(terms), limit);
      });
    } catch (error) {
      this.#refusedReadings.note(error);
      throw error;
    }
  }

  /**
   * Deletes the events beyond the bounds of the history, in steps.
   *
   * @param between called between two steps, so that heartbeats do not wait for a long trimming
   */
  async trim(between: () => void): Promise<void> {
    const { counters, logger } = this.#parts;
    this.#publishes.tidy();
    const trimmed = await this.#trimmer.trim(between);
    if (trimmed > 0) {
      counters.trimmed += trimmed;
      logger("info", "log_trimmed", { events: trimmed });
    }
  }

  /**
   * Sets the alarm for the next trimming. Never throws: a durable publish is acknowledged even if the log cannot be
   * read.
   */
  armTrimming(): void {
    try {
      this.#trimmer.arm();
    } catch (error) {
      this.#parts.logger("error", "trim_not_armed", { error: String(error) });
    }
  }

  /**
   * Deletes some events if the log is far over a bound. Never throws: a publish must not fail because trimming failed.
   */
  #relieveLog(): void {
    try {
      this.#parts.counters.trimmed += this.#trimmer.relieve();
    } catch (error) {
      this.#parts.logger("error", "trim_failed", { error: String(error) });
    }
  }

  async #append(events: readonly NewEvent[], grant: Filter): Promise<Receipt[]> {
    const { counters, logger } = this.#parts;
    try {
      const { receipts, stored } = await this.#durable.append(events, grant);
      counters.published += stored.length;
      counters.duplicates += receipts.length - stored.length;
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
