import type { Detail, Outline, Stamp, StoredEvent } from "../hub/log/event-log.ts";
import { contentOf } from "./data-text.ts";
import { fieldsOf } from "./field-text.ts";
import type { LogEnds } from "./log-ends.ts";
import { EVENT, STAMP, toEvent, toStamp, type EventRow, type StampRow } from "./log-tables.ts";
import type { Sql } from "./sql.ts";

/** The columns of a read. Each text column costs about a microsecond a row, so a read selects only what it needs. */
const DETAILS: Readonly<Record<Detail, string>> = {
  frame: "seq, type, data",
  filterable: "seq, type, data, fields, former_agent_id",
  all: "seq, type, data, fields, former_agent_id, published_at",
};

/** A row of a read. The columns that were not selected are missing. */
type ReadRow = [
  seq: number,
  type: string,
  data: string,
  fields?: string | null,
  formerAgentId?: string | null,
  publishedAt?: number,
];

/** A row of an outline. The fields are missing if they were not selected. */
type OutlineRow = [
  seq: number,
  endOffset: number,
  type: string,
  fields?: string | null,
  formerAgentId?: string | null,
];

/** The most rows of one read, however small they are. */
const READ_EVENTS = 2_000;

/** Reads the events of a log. The methods are those of `EventLog`. */
export class LogReader {
  readonly #sql: Sql;
  readonly #ends: Readonly<LogEnds>;

  constructor(sql: Sql, ends: Readonly<LogEnds>) {
    this.#sql = sql;
    this.#ends = ends;
  }

  read(after: number, maxBytes: number, detail: Detail): StoredEvent[] {
    const from = Math.max(after, this.#ends.oldest - 1);
    if (from >= this.#ends.head) {
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
    const from = Math.max(after, this.#ends.oldest - 1);
    if (from >= this.#ends.head) {
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
    if (seq === this.#ends.oldest - 1) {
      return this.#ends.trimmed;
    }
    if (seq === this.#ends.head) {
      return this.#ends.last;
    }
    const [row] = this.#sql.rows<StampRow>(`SELECT ${STAMP} FROM events WHERE seq = ?`, seq);
    if (row === undefined) {
      throw new RangeError(`event ${seq} is not kept`);
    }
    return toStamp(row);
  }

  /** The last seq of a read. By binary search: a condition on the offset would walk through every row of the range. */
  #lastWithin(after: number, maxBytes: number): number {
    const end = this.stamp(after).endOffset + maxBytes;
    let low = after + 1;
    let high = Math.min(after + READ_EVENTS, this.#ends.head);
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
}
