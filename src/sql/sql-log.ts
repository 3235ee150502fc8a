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
import type { Filter } from "../hub/filter.ts";
import { TakenKeys } from "../hub/log/taken-keys.ts";
import { contentOf, dataText } from "./data-text.ts";
import { fieldsOf, fieldText } from "./field-text.ts";
import { isMigrated, migrate } from "./migrations.ts";
import type { Sql } from "./sql.ts";
import { isStorageFull, storageFull } from "./storage-full.ts";

/** Changes of the tables, in order, each applied once. Only ever append to this list. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE log (
     name TEXT NOT NULL,
     -- The last event that was trimmed: ids go on after it, also when nothing is kept.
     trimmed_seq INTEGER NOT NULL DEFAULT 0,
     trimmed_at INTEGER NOT NULL DEFAULT 0,
     trimmed_offset INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   -- The data last: what stands before it is read without walking through it.
   CREATE TABLE events (
     seq INTEGER PRIMARY KEY,
     type TEXT NOT NULL,
     project_id TEXT,
     agent_id TEXT,
     published_at INTEGER NOT NULL,
     end_offset INTEGER NOT NULL,
     key TEXT,
     data TEXT NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;`,
  // Costs the same for every log, because no row changes: `fieldsOf` reads the rows from before, too. A new column would stand
  // after the data.
  `ALTER TABLE events RENAME COLUMN project_id TO fields;
   ALTER TABLE events RENAME COLUMN agent_id TO former_agent_id;`,
];

const STAMP = "seq, published_at, end_offset";
const EVENT = "seq, type, fields, former_agent_id, data, published_at";

/** The columns of a read: measured, each text costs about a microsecond a row. */
const DETAILS: Readonly<Record<Detail, string>> = {
  frame: "seq, type, data",
  filterable: "seq, type, data, fields, former_agent_id",
  all: "seq, type, data, fields, former_agent_id, published_at",
};

/** What stands in a row of a read; a column that was not asked for is not there. */
type ReadRow = [
  seq: number,
  type: string,
  data: string,
  fields?: string | null,
  formerAgentId?: string | null,
  publishedAt?: number,
];

/** What stands in a row of an outline. */
type OutlineRow = [
  seq: number,
  endOffset: number,
  type: string,
  fields?: string | null,
  formerAgentId?: string | null,
];

/** Rows of one read, however small they are. */
const READ_EVENTS = 2_000;

type StampRow = { seq: number; published_at: number; end_offset: number };
type EventRow = {
  seq: number;
  type: string;
  fields: string | null;
  former_agent_id: string | null;
  data: string;
  published_at: number;
};
type LogRow = { name: string; trimmed_seq: number; trimmed_at: number; trimmed_offset: number };

/** The log of a channel in a SQLite database of its own. */
export class SqlLog implements EventLog {
  readonly #sql: Sql;
  #name: string | null = null;
  #head = 0;
  #oldest = 1;
  /** The stamps of `head` and of `oldest - 1`, which every publish asks for. */
  #last: Stamp = { publishedAt: 0, endOffset: 0 };
  #trimmed: Stamp = { publishedAt: 0, endOffset: 0 };

  constructor(sql: Sql) {
    this.#sql = sql;
    if (isMigrated(sql)) {
      migrate(sql, MIGRATIONS);
    }
    this.reload();
  }

  get name(): string | null {
    return this.#name;
  }

  get head(): number {
    return this.#head;
  }

  get oldest(): number {
    return this.#oldest;
  }

  create(): void {
    if (this.#name === null) {
      const name = crypto.randomUUID();
      this.#transaction(() => {
        migrate(this.#sql, MIGRATIONS);
        this.#sql.rows("INSERT INTO log (name) VALUES (?)", name);
      });
      this.#name = name;
    }
  }

  append(events: readonly NewEvent[], now: number, keptFrom: number, grant?: Filter): Appended {
    this.create();
    const taken = new TakenKeys(grant);
    const publishedAt = Math.max(now, this.#last.publishedAt);
    let seq = this.#head;
    let { endOffset } = this.#last;
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
    if (seq > this.#head) {
      this.#head = seq;
      this.#last = { publishedAt, endOffset };
    }
    return { receipts, stored };
  }

  sync(): Promise<void> {
    return this.#sql.sync();
  }

  read(after: number, maxBytes: number, detail: Detail): StoredEvent[] {
    const from = Math.max(after, this.#oldest - 1);
    if (from >= this.#head) {
      return [];
    }
    const rows = this.#sql.values(
      `SELECT ${DETAILS[detail]} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq`,
      from,
      this.#lastWithin(from, maxBytes),
    ) as Iterable<ReadRow>;
    return Array.from(rows, (row) => {
      const [seq, type, data, fields = null, formerAgentId = null, publishedAt = 0] = row;
      return { seq, type, ...contentOf(data), fields: fieldsOf(fields, formerAgentId), publishedAt };
    });
  }

  outline(after: number, count: number, needsFields: boolean): Outline[] {
    const from = Math.max(after, this.#oldest - 1);
    if (from >= this.#head) {
      return [];
    }
    const columns = `seq, end_offset, type${needsFields ? ", fields, former_agent_id" : ""}`;
    const rows = this.#sql.values(
      `SELECT ${columns} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
      from,
      count,
    ) as Iterable<OutlineRow>;
    let previous = this.stamp(from).endOffset;
    return Array.from(rows, (row) => {
      const [seq, endOffset, type, fields = null, formerAgentId = null] = row;
      const size = endOffset - previous;
      previous = endOffset;
      return { seq, type, fields: fieldsOf(fields, formerAgentId), size };
    });
  }

  pick(seqs: readonly number[]): StoredEvent[] {
    return this.#sql
      .rows<EventRow>(
        `SELECT ${EVENT} FROM events WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`,
        JSON.stringify(seqs),
      )
      .map(toEvent);
  }

  stamp(seq: number): Stamp {
    if (seq === this.#oldest - 1) {
      return this.#trimmed;
    }
    if (seq === this.#head) {
      return this.#last;
    }
    const [row] = this.#sql.rows<StampRow>(`SELECT ${STAMP} FROM events WHERE seq = ?`, seq);
    if (row === undefined) {
      throw new RangeError(`event ${seq} is not kept`);
    }
    return toStamp(row);
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
    this.#oldest = through + 1;
    this.#trimmed = trimmed;
  }

  check(): void {
    this.#row();
  }

  /** Reads again where the log stands. Needed after writes were lost that had not been durable yet. */
  reload(): void {
    if (!isMigrated(this.#sql)) {
      this.#name = null;
      this.#head = 0;
      this.#oldest = 1;
      this.#last = { publishedAt: 0, endOffset: 0 };
      this.#trimmed = this.#last;
      return;
    }
    const log = this.#row();
    this.#name = log.name;
    this.#oldest = log.trimmed_seq + 1;
    this.#trimmed = { publishedAt: log.trimmed_at, endOffset: log.trimmed_offset };
    const [last] = this.#sql.rows<StampRow>(`SELECT ${STAMP} FROM events ORDER BY seq DESC LIMIT 1`);
    this.#head = last?.seq ?? log.trimmed_seq;
    this.#last = last === undefined ? this.#trimmed : toStamp(last);
  }

  #row(): LogRow {
    const [row] = this.#sql.rows<LogRow>("SELECT * FROM log");
    if (row === undefined) {
      throw new Error("the log of this channel has no name");
    }
    return row;
  }

  /** The last seq of a read. By binary search: a condition on the offset would walk through every row of the range. */
  #lastWithin(after: number, maxBytes: number): number {
    const end = this.stamp(after).endOffset + maxBytes;
    let low = after + 1;
    let high = Math.min(after + READ_EVENTS, this.#head);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.stamp(middle).endOffset <= end) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
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

function toEvent(row: EventRow): StoredEvent {
  const { seq, type, fields, former_agent_id: formerAgentId, data, published_at: publishedAt } = row;
  return { seq, type, fields: fieldsOf(fields, formerAgentId), ...contentOf(data), publishedAt };
}

function toStamp(row: StampRow): Stamp {
  return { publishedAt: row.published_at, endOffset: row.end_offset };
}
