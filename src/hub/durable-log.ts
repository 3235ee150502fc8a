import type { Horizon } from "./broadcaster.ts";
import type { Clock } from "./clock.ts";
import { sizeOf, type EventLog, type NewEvent, type Receipt } from "./event-log.ts";
import type { Filter } from "./filter.ts";
import type { FrameFeed } from "./frame-feed.ts";
import type { Retention } from "./retention.ts";

/**
 * The log up to where a crash can take nothing back. Rows can be read before they are durable; whatever leaves the hub
 * goes only up to the head of this one.
 */
export class DurableLog implements Horizon {
  readonly #log: EventLog;
  readonly #feed: FrameFeed;
  readonly #retention: Retention;
  readonly #clock: Clock;
  #head: number;
  #created: Promise<void> | null;

  constructor(log: EventLog, feed: FrameFeed, retention: Retention, clock: Clock) {
    this.#log = log;
    this.#feed = feed;
    this.#retention = retention;
    this.#clock = clock;
    this.#head = log.head;
    this.#created = log.name === null ? null : Promise.resolve();
    feed.forget(log.head + 1);
  }

  /** The last durable seq. */
  head(): number {
    return this.#head;
  }

  /** The oldest seq that may be served; `head + 1` when there is none. */
  oldest(): number {
    return Math.min(this.#retention.oldest(this.#clock.now()), this.#head + 1);
  }

  /** Creates the log, if it does not exist. Resolves when its name survives a crash. */
  create(): Promise<void> {
    this.#log.create();
    this.#created ??= this.#log.sync();
    return this.#created;
  }

  /**
   * Stores events in one transaction. Resolves when they are durable, and what they duplicate is.
   *
   * @param grant what the publisher may know of.
   */
  async append(events: readonly NewEvent[], grant: Filter): Promise<Receipt[]> {
    const now = this.#clock.now();
    const receipts = this.#log.append(events, now, this.#retention.oldest(now), grant);
    const head = this.#log.head;
    this.#keepFrames(events, receipts);
    await this.#log.sync();
    this.#head = Math.max(this.#head, head);
    return receipts;
  }

  #keepFrames(events: readonly NewEvent[], receipts: readonly Receipt[]): void {
    const { publishedAt } = this.#log.stamp(this.#log.head);
    for (const [index, event] of events.entries()) {
      const receipt = receipts[index];
      if (receipt !== undefined && !receipt.duplicate) {
        const { type, projectId, agentId, data } = event;
        this.#feed.push({ seq: receipt.seq, type, projectId, agentId, data, publishedAt }, sizeOf(event));
      }
    }
  }
}
