import type { EventLog } from "./event-log.ts";

/**
 * How far a log may go over a bound before a publish has to trim it: this share of the bound, but at least this much.
 */
const MARGIN_SHARE = 0.02;
const MARGIN_EVENTS = 10_000;
const MARGIN_BYTES = 4 * 1024 * 1024;

/** How much of a log is kept. */
export interface RetentionBounds {
  readonly maxEvents: number;
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/**
 * Decides which events of a log are too many or too old. Seqs have no holes and stamps never decrease, so every
 * question is a binary search over the primary key, and its cost hardly grows with the log.
 */
export class Retention {
  readonly #log: EventLog;
  readonly #bounds: RetentionBounds;
  /** The oldest event that is young enough. Holds until this event becomes too old. */
  #kept = { seq: 0, publishedAt: Number.NEGATIVE_INFINITY };

  constructor(log: EventLog, bounds: RetentionBounds) {
    this.#log = log;
    this.#bounds = bounds;
  }

  /** The oldest seq that is young enough, even if older events are not trimmed yet; `head + 1` if there is none. */
  oldest(now: number): number {
    const cutoff = now - this.#bounds.maxAgeMs;
    const known = Math.max(this.#kept.seq, this.#log.oldest);
    if (known <= this.#log.head && (known !== this.#kept.seq || this.#kept.publishedAt < cutoff)) {
      const seq = this.firstSince(cutoff, known);
      const publishedAt = seq <= this.#log.head ? this.#log.stamp(seq).publishedAt : cutoff;
      this.#kept = { seq, publishedAt };
    }
    return Math.max(this.#kept.seq, this.#log.oldest);
  }

  /** The first event that was stored at or after a time; `head + 1` if there is none. */
  firstSince(time: number, from: number = this.#log.oldest): number {
    return this.#first(from, (seq) => this.#log.stamp(seq).publishedAt >= time);
  }

  /** The last seq that has to be trimmed; `oldest - 1` if the log is within its bounds. */
  excess(now: number): number {
    const { head, oldest } = this.#log;
    const end = this.#log.stamp(head).endOffset;
    const bytesAfter = (seq: number): number => end - this.#log.stamp(seq).endOffset;
    return Math.max(
      this.oldest(now) - 1,
      head - this.#bounds.maxEvents,
      this.#first(oldest - 1, (seq) => bytesAfter(seq) <= this.#bounds.maxBytes),
    );
  }

  /** The last seq of a step that trims at most this many events and bytes, but at least one event. */
  lastWithin(events: number, bytes: number): number {
    const { head, oldest } = this.#log;
    const start = this.#log.stamp(oldest - 1).endOffset;
    const beyond = this.#first(oldest, (seq) => seq > head || this.#log.stamp(seq).endOffset - start > bytes);
    return Math.max(oldest, Math.min(beyond - 1, oldest + events - 1));
  }

  /** Whether the log is over its bounds of events or bytes. Cheap, because every publish asks. */
  isOver(): boolean {
    return this.#isBeyond(0, 0);
  }

  /** Whether the log is so far over a bound that a publish has to trim it. Cheap, because every publish asks. */
  isFarOver(): boolean {
    const { maxEvents, maxBytes } = this.#bounds;
    return this.#isBeyond(
      Math.max(MARGIN_EVENTS, maxEvents * MARGIN_SHARE),
      Math.max(MARGIN_BYTES, maxBytes * MARGIN_SHARE),
    );
  }

  /**
   * When the oldest event becomes too old, in ms since the epoch; null if no event is kept. Cheap: every publish asks.
   */
  nextExpiry(): number | null {
    const { head, oldest } = this.#log;
    if (oldest > head) {
      return null;
    }
    const { publishedAt } = this.#kept.seq === oldest ? this.#kept : this.#log.stamp(oldest);
    return publishedAt + this.#bounds.maxAgeMs + 1;
  }

  #isBeyond(moreEvents: number, moreBytes: number): boolean {
    const { head, oldest } = this.#log;
    const bytes = this.#log.stamp(head).endOffset - this.#log.stamp(oldest - 1).endOffset;
    return (
      head - oldest + 1 > this.#bounds.maxEvents + moreEvents || bytes > this.#bounds.maxBytes + moreBytes
    );
  }

  #first(from: number, holds: (seq: number) => boolean): number {
    let low = from;
    let high = this.#log.head + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (holds(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
}
