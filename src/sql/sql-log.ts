import type { Filter } from "../hub/filter.ts";
import {
  sameContent,
  sizeOf,
  type Appended,
  type AppendedEvent,
  type Detail,
  type EventLog,
  type NewEvent,
  type Outline,
  type Receipt,
  type Stamp,
  type StoredEvent,
} from "../hub/log/event-log.ts";
import { TakenKeys } from "../hub/log/taken-keys.ts";
import { dataText } from "./data-text.ts";
import { fieldText } from "./field-text.ts";
import { LogEnds, readLogRow } from "./log-ends.ts";
import { LogReader } from "./log-reader.ts";
import { EVENT, LOG_MIGRATIONS, toEvent, type EventRow } from "./log-tables.ts";
import { isMigrated, migrate } from "./migrations.ts";
import type { Sql } from "./sql.ts";
import { isStorageFull, storageFull } from "./storage-full.ts";

/** The log of a channel in a SQLite database of its own. */
export class SqlLog implements EventLog {
  readonly #sql: Sql;
  readonly #ends = new LogEnds();
  readonly #reader: LogReader;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#reader = new LogReader(sql, this.#ends);
    if (isMigrated(sql)) {
      migrate(sql, LOG_MIGRATIONS);
    }
    this.reload();
  }

  get name(): string | null {
    return this.#ends.name;
  }

  get head(): number {
    return this.#ends.head;
  }

  get oldest(): number {
    return this.#ends.oldest;
  }

  create(): void {
    if (this.#ends.name === null) {
      const name = crypto.randomUUID();
      this.#transaction(() => {
        migrate(this.#sql, LOG_MIGRATIONS);
        this.#sql.rows("INSERT INTO log (name) VALUES (?)", name);
      });
      this.#ends.name = name;
    }
  }

  append(events: readonly NewEvent[], now: number, keptFrom: number, grant?: Filter): Appended {
    this.create();
    const taken = new TakenKeys(grant);
    const publishedAt = Math.max(now, this.#ends.last.publishedAt);
    let seq = this.#ends.head;
    let { endOffset } = this.#ends.last;
    const receipts: Receipt[] = [];
    const stored: AppendedEvent[] = [];
    // A throw between two statements would leave the earlier rows: a batch is all or nothing.
    this.#transaction(() => {
      for (const [index, event] of events.entries()) {
        const first = event.key === null ? null : this.#byKey(event.key, keptFrom);
        if (first !== null) {
          taken.check(index, toEvent(first));
          const conflict = !sameContent(toEvent(first), event);
          receipts.push({ seq: first.seq, type: event.type, duplicate: true, conflict });
          continue;
        }
        seq++;
        const size = sizeOf(event);
        endOffset += size;
        this.#insert(seq, event, publishedAt, endOffset);
        const { type, fields, data, isText } = event;
        stored.push({ seq, type, fields, data, isText, publishedAt, size });
        receipts.push({ seq, type, duplicate: false, conflict: false });
      }
      taken.refuse();
    });
    if (seq > this.#ends.head) {
      this.#ends.head = seq;
      this.#ends.last = { publishedAt, endOffset };
    }
    return { receipts, stored };
  }

  sync(): Promise<void> {
    return this.#sql.sync();
  }

  read(after: number, maxBytes: number, detail: Detail): StoredEvent[] {
    return this.#reader.read(after, maxBytes, detail);
  }

  outline(after: number, count: number, needsFields: boolean): Outline[] {
    return this.#reader.outline(after, count, needsFields);
  }

  pick(seqs: readonly number[]): StoredEvent[] {
    return this.#reader.pick(seqs);
  }

  stamp(seq: number): Stamp {
    return this.#reader.stamp(seq);
  }

  trim(through: number): void {
    const trimmed = this.stamp(through);
    this.#transaction(() => {
      this.#sql.rows("DELETE FROM events WHERE seq <= ?", through);
      this.#sql.rows(
        "UPDATE log SET trimmed_seq = ?, trimmed_at = ?, trimmed_offset = ?",
        through,
        trimmed.publishedAt,
        trimmed.endOffset,
      );
    });
    this.#ends.oldest = through + 1;
    this.#ends.trimmed = trimmed;
  }

  check(): void {
    readLogRow(this.#sql);
  }

  /** Reads again where the log ends, after writes that were not durable yet were lost. */
  reload(): void {
    this.#ends.load(this.#sql);
  }

  #byKey(key: string, keptFrom: number): EventRow | null {
    const [row] = this.#sql.rows<EventRow>(`SELECT ${EVENT} FROM events WHERE key = ?`, key);
    if (row !== undefined && row.seq < keptFrom) {
      // Its event is too old to be served, so its key is free, though the row is not trimmed yet.
      this.#sql.rows("UPDATE events SET key = NULL WHERE seq = ?", row.seq);
      return null;
    }
    return row ?? null;
  }

  #insert(seq: number, event: NewEvent, publishedAt: number, endOffset: number): void {
    const { type, fields, key } = event;
    this.#sql.rows(
      "INSERT INTO events (seq, type, fields, data, published_at, end_offset, key) VALUES (?, ?, ?, ?, ?, ?, ?)",
      seq,
      type,
      fieldText(fields),
      dataText(event),
      publishedAt,
      endOffset,
      key,
    );
  }

  #transaction(work: () => void): void {
    try {
      this.#sql.transaction(work);
    } catch (error) {
      throw isStorageFull(error) ? storageFull() : error;
    }
  }
}
