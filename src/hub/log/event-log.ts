import { HubError } from "../errors.ts";
import type { Filter, Filterable } from "../filter.ts";
import { TakenKeys } from "./taken-keys.ts";

/** An event as a publisher hands it over, already validated. */
export interface NewEvent extends Filterable {
  /** The data as one line of JSON. */
  readonly data: string;
  /** Size of `data` in UTF-8. */
  readonly dataBytes: number;
  /** Idempotency key: lives exactly as long as its event is kept. */
  readonly key: string | null;
}

/** An event of the log. */
export interface StoredEvent extends Filterable {
  /** Position in the channel's total order: from 1, without holes, never reused. Outside it is the event id. */
  readonly seq: number;
  readonly data: string;
  /** When the hub stored it, in ms since the epoch. Never decreases along the seqs. */
  readonly publishedAt: number;
}

/** An event as `append` has just stored it. */
export interface AppendedEvent extends StoredEvent {
  /** As `sizeOf` counts it. */
  readonly size: number;
}

/** What became of one published event. */
export interface Receipt {
  readonly seq: number;
  readonly type: string;
  /** Its key was known: `seq` is that of the first publish, and nothing was stored. */
  readonly duplicate: boolean;
  /** A duplicate whose content differs from what is stored. The first one stands. */
  readonly conflict: boolean;
}

/** What an append has done with a batch. */
export interface Appended {
  /** One for each event of the batch, in the same order. */
  readonly receipts: Receipt[];
  /** The events of the batch that were stored, in the same order. Duplicates are not among them. */
  readonly stored: readonly AppendedEvent[];
}

/** What is read of events: what a frame needs; the ids too, that a filter compares; or the time as well. */
export type Detail = "frame" | "filterable" | "all";

/** An event without its data: what filters compare, and what the whole of it would cost. */
export interface Outline extends Filterable {
  readonly seq: number;
  /** As `sizeOf` counts it. */
  readonly size: number;
}

/** Where an event stands in time and in bytes. */
export interface Stamp {
  readonly publishedAt: number;
  /** Bytes of all events of this log up to and including this one, trimmed ones too. */
  readonly endOffset: number;
}

/**
 * The ordered, durable log of one channel. Everything but `sync` is synchronous; what was appended can be read at
 * once, but is durable only when a later `sync` has resolved.
 */
export interface EventLog {
  /** Random, given at creation: tells this log from another one of the same channel. Null: not created. */
  readonly name: string | null;
  /** The last seq that was given out; 0 at first. Survives trimming and restarts. */
  readonly head: number;
  /** The oldest seq that is kept; `head + 1` when nothing is. */
  readonly oldest: number;
  /** Creates the log if it does not exist. Until then nothing is written. */
  create(): void;
  /**
   * Stores events in order, in one transaction: all of them or, on a throw, none.
   *
   * @param keptFrom keys of events before this seq are forgotten, though their rows may not be trimmed yet.
   * @param grant what the publisher may know of: the key of an event beyond it is taken, and its id is not told. Absent: all.
   * @throws HubError `storage_full` or `key_taken`
   */
  append(events: readonly NewEvent[], now: number, keptFrom: number, grant?: Filter): Appended;
  /** Resolves when everything that was appended before the call is durable. */
  sync(): Promise<void>;
  /**
   * The events after a seq, in order, as many as their sizes leave room for, but one at least.
   *
   * @param maxBytes of sizes as `sizeOf` counts them.
   * @param detail what is read of each: every column costs.
   */
  read(after: number, maxBytes: number, detail: Detail): StoredEvent[];
  /**
   * The outlines of the events after a seq, in order, `count` of them at most: how far this reads depends on ids alone,
   * and not on the size of the events.
   *
   * @param needsIds whether the ids of projects and agents are read too.
   */
  outline(after: number, count: number, needsIds: boolean): Outline[];
  /** Those of these events that are kept, whole and in order. The caller bounds them by their sizes. */
  pick(seqs: readonly number[]): StoredEvent[];
  /** The stamp of a kept event, or of the last one that was trimmed (`oldest - 1`; zeros when none ever was). */
  stamp(seq: number): Stamp;
  /** Deletes all events up to and including a seq, in one transaction. */
  trim(through: number): void;
  /** Reads a little. Throws when the storage cannot be read: it is out of order, or belongs to a newer instance. */
  check(): void;
}

/**
 * What a row costs beside its texts, as `history.max_bytes` counts it: columns, numbers and index entries. More than the
 * names and line ends of a frame, so that a page never has more bytes than its events have size.
 */
const EVENT_OVERHEAD_BYTES = 64;

/** The size of an event as `history.max_bytes` counts it. */
export function sizeOf(event: NewEvent): number {
  const texts = event.type.length + (event.projectId?.length ?? 0) + (event.agentId?.length ?? 0);
  return EVENT_OVERHEAD_BYTES + event.dataBytes + texts + 2 * (event.key?.length ?? 0);
}

/** Whether two publishes under one key carry the same event. */
export function sameContent(a: Filterable & { data: string }, b: Filterable & { data: string }): boolean {
  return a.type === b.type && a.data === b.data && a.projectId === b.projectId && a.agentId === b.agentId;
}

type MemoryRow = AppendedEvent & Stamp & { readonly key: string | null };

/** The in-memory twin: what the log means, without SQLite. The same tests run against both. */
export class MemoryEventLog implements EventLog {
  name: string | null = null;
  head = 0;
  #rows: MemoryRow[] = [];
  #trimmed: Stamp = { publishedAt: 0, endOffset: 0 };
  readonly #maxEvents: number;

  /** @param maxEvents after so many kept events the storage is full. */
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

  outline(after: number, count: number, _needsIds: boolean): Outline[] {
    const from = Math.min(Math.max(after, this.oldest - 1), this.head);
    let { endOffset } = this.stamp(from);
    return this.#rows.slice(from + 1 - this.oldest, from + 1 - this.oldest + count).map((row) => {
      const size = row.endOffset - endOffset;
      ({ endOffset } = row);
      return { seq: row.seq, type: row.type, projectId: row.projectId, agentId: row.agentId, size };
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
