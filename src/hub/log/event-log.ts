import { HubError } from "../errors.ts";
import type { Fields, Filter, Filterable } from "../filter.ts";
import { TakenKeys } from "./taken-keys.ts";

/** A validated event of a publisher. */
export interface NewEvent extends Filterable {
  /** The data as one line of JSON; or the text of the event, of any number of lines. */
  readonly data: string;
  readonly isText: boolean;
  /** The size of `data` in UTF-8. A text has the size that it has as lines of a frame. */
  readonly dataBytes: number;
  /** The idempotency key, which is kept exactly as long as its event. */
  readonly key: string | null;
}

/** An event of the log. */
export interface StoredEvent extends Filterable {
  /**
   * The position in the channel's total order: from 1, without holes, never reused. Clients know it as the event id.
   */
  readonly seq: number;
  readonly data: string;
  /** Whether `data` is text and not JSON. */
  readonly isText: boolean;
  /** When the hub stored the event, in ms since the epoch. Never decreases along the seqs. */
  readonly publishedAt: number;
}

/** An event as `append` has just stored it. */
export interface AppendedEvent extends StoredEvent {
  /** As `sizeOf` counts it. */
  readonly size: number;
}

/** The result of publishing one event. */
export interface Receipt {
  readonly seq: number;
  readonly type: string;
  /** The key was known: `seq` is the seq of the event that has the key, and nothing was stored. */
  readonly duplicate: boolean;
  /** The event is a duplicate, and its content differs from the stored event. The stored event is unchanged. */
  readonly conflict: boolean;
}

/** The result of appending a batch. */
export interface Appended {
  /** One for each event of the batch, in the same order. */
  readonly receipts: Receipt[];
  /** The events of the batch that were stored, in the same order. Duplicates are not among them. */
  readonly stored: readonly AppendedEvent[];
}

/** Which parts of an event are read: those of a frame; also the fields that filters compare; or also the time. */
export type Detail = "frame" | "filterable" | "all";

/** An event without its data: the parts that filters compare, and the size of the event. */
export interface Outline extends Filterable {
  readonly seq: number;
  /** As `sizeOf` counts it. */
  readonly size: number;
}

/** The position of an event in time and in bytes. */
export interface Stamp {
  readonly publishedAt: number;
  /** The sizes of all events of this log up to and including this one, added up. Trimmed events count too. */
  readonly endOffset: number;
}

/**
 * The ordered, durable log of one channel. Everything but `sync` is synchronous. Appended events can be read at once,
 * but they are durable only when a later `sync` has resolved.
 */
export interface EventLog {
  /** Random, given at creation: distinguishes this log from another log of the same channel. Null before creation. */
  readonly name: string | null;
  /** The last seq that was assigned; 0 at first. Survives trimming and restarts. */
  readonly head: number;
  /** The oldest kept seq; `head + 1` if no event is kept. */
  readonly oldest: number;
  /** Creates the log if it does not exist. Nothing is written before. */
  create(): void;
  /**
   * Stores events in order, in one transaction. If it throws, no event is stored.
   *
   * @param keptFrom keys of events before this seq are free again, even if their rows are not trimmed yet
   * @param grant the events that the publisher may know about; absent for all. If another event has one of the keys,
   *   the batch is refused, and the id of that event is not revealed.
   * @throws HubError `storage_full` or `key_taken`
   */
  append(events: readonly NewEvent[], now: number, keptFrom: number, grant?: Filter): Appended;
  /** Resolves when every event that was appended before the call is durable. */
  sync(): Promise<void>;
  /**
   * The events after a seq, in order. Returns at least one if there is one.
   *
   * @param maxBytes the most bytes of all events together, as `sizeOf` counts them
   * @param detail the parts to read: every column costs time
   */
  read(after: number, maxBytes: number, detail: Detail): StoredEvent[];
  /**
   * The outlines of the events after a seq, in order, at most `count`. How far this reads depends on ids only, not on
   * the sizes of the events.
   *
   * @param needsFields whether to read the fields too
   */
  outline(after: number, count: number, needsFields: boolean): Outline[];
  /** The events with these seqs, in order, without the ones that are no longer kept. The caller bounds their sizes. */
  pick(seqs: readonly number[]): StoredEvent[];
  /** The stamp of a kept event, or of the last trimmed event (`oldest - 1`; zeros if no event was ever trimmed). */
  stamp(seq: number): Stamp;
  /** Deletes all events up to and including a seq, in one transaction. */
  trim(through: number): void;
  /** Reads a little. Throws if the storage cannot be read because it is broken or belongs to a newer instance. */
  check(): void;
}

/**
 * What a row costs in addition to its texts, as `history.max_bytes` counts it: columns, numbers and index entries. It
 * is more than the field names and line ends of a frame, so a page never has more bytes than the sizes of its events.
 */
const EVENT_OVERHEAD_BYTES = 64;

/** The size of an event as `history.max_bytes` counts it. */
export function sizeOf(event: NewEvent): number {
  let texts = event.type.length + 2 * (event.key?.length ?? 0);
  for (const name in event.fields) {
    texts += name.length + (event.fields[name]?.length ?? 0);
  }
  return EVENT_OVERHEAD_BYTES + event.dataBytes + texts;
}

type Content = Filterable & Pick<StoredEvent, "data" | "isText">;

/** Whether two publishes under one key carry the same event. */
export function sameContent(a: Content, b: Content): boolean {
  const isSame = a.type === b.type && a.data === b.data && a.isText === b.isText;
  return isSame && sameFields(a.fields, b.fields);
}

/** Whatever the order of their names: `filters.fields` may have been sorted anew between two publishes. */
function sameFields(a: Fields, b: Fields): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

type MemoryRow = AppendedEvent & Stamp & { readonly key: string | null };

/** A log in memory: the meaning of a log, without SQLite. The same tests run against both. */
export class MemoryEventLog implements EventLog {
  name: string | null = null;
  head = 0;
  #rows: MemoryRow[] = [];
  #trimmed: Stamp = { publishedAt: 0, endOffset: 0 };
  readonly #maxEvents: number;

  /** @param maxEvents the storage is full with this many kept events */
  constructor(maxEvents = Number.POSITIVE_INFINITY) {
    this.#maxEvents = maxEvents;
  }

  get oldest(): number {
    return this.head - this.#rows.length + 1;
  }

  create(): void {
    this.name ??= crypto.randomUUID();
  }

  append(events: readonly NewEvent[], now: number, keptFrom: number, grant?: Filter): Appended {
    this.create();
    const taken = new TakenKeys(grant);
    const added: MemoryRow[] = [];
    const kept = this.#rows.slice(Math.max(0, keptFrom - this.oldest));
    const known = new Map([...kept].filter((row) => row.key !== null).map((row) => [row.key, row]));
    const last = this.stamp(this.head);
    let end = { ...last, publishedAt: Math.max(now, last.publishedAt) };
    const receipts = events.map((event, index) => {
      const first = event.key === null ? undefined : known.get(event.key);
      if (first) {
        taken.check(index, first);
        return { seq: first.seq, type: event.type, duplicate: true, conflict: !sameContent(first, event) };
      }
      const size = sizeOf(event);
      end = { ...end, endOffset: end.endOffset + size };
      const row = { ...event, ...end, size, seq: this.head + added.length + 1 };
      added.push(row);
      if (event.key !== null) {
        known.set(event.key, row);
      }
      return { seq: row.seq, type: event.type, duplicate: false, conflict: false };
    });
    taken.refuse();
    if (this.#rows.length + added.length > this.#maxEvents) {
      throw new HubError("storage_full", "The storage of this channel is full.");
    }
    this.#rows.push(...added);
    this.head += added.length;
    return { receipts, stored: added };
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  read(after: number, maxBytes: number, _detail: Detail): StoredEvent[] {
    const from = Math.min(Math.max(after, this.oldest - 1), this.head);
    const end = this.stamp(from).endOffset + maxBytes;
    return this.#rows
      .slice(from + 1 - this.oldest)
      .filter((row, index) => index === 0 || row.endOffset <= end);
  }

  outline(after: number, count: number, _needsFields: boolean): Outline[] {
    const from = Math.min(Math.max(after, this.oldest - 1), this.head);
    let { endOffset } = this.stamp(from);
    return this.#rows.slice(from + 1 - this.oldest, from + 1 - this.oldest + count).map((row) => {
      const size = row.endOffset - endOffset;
      ({ endOffset } = row);
      return { seq: row.seq, type: row.type, fields: row.fields, size };
    });
  }

  pick(seqs: readonly number[]): StoredEvent[] {
    return seqs.flatMap((seq) => this.#rows[seq - this.oldest] ?? []);
  }

  stamp(seq: number): Stamp {
    const row = seq === this.oldest - 1 ? this.#trimmed : this.#rows[seq - this.oldest];
    if (row === undefined) {
      throw new RangeError(`event ${seq} is not kept`);
    }
    return { publishedAt: row.publishedAt, endOffset: row.endOffset };
  }

  trim(through: number): void {
    this.#trimmed = this.stamp(through);
    this.#rows = this.#rows.slice(Math.max(0, through + 1 - this.oldest));
  }

  check(): void {}
}
