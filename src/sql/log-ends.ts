import type { Stamp } from "../hub/log/event-log.ts";
import { STAMP, toStamp, type StampRow } from "./log-tables.ts";
import { isMigrated } from "./migrations.ts";
import type { Sql } from "./sql.ts";

type LogRow = { name: string; trimmed_seq: number; trimmed_at: number; trimmed_offset: number };

const ZERO: Stamp = { publishedAt: 0, endOffset: 0 };

/** The name and the two ends of a log, in memory because every publish needs them. Only `SqlLog` changes them. */
export class LogEnds {
  name: string | null = null;
  head = 0;
  oldest = 1;
  /** The stamp of `head`. */
  last = ZERO;
  /** The stamp of `oldest - 1`. */
  trimmed = ZERO;

  /** Reads the ends from the tables. */
  load(sql: Sql): void {
    if (!isMigrated(sql)) {
      Object.assign(this, new LogEnds());
      return;
    }
    const log = readLogRow(sql);
    const [last] = sql.rows<StampRow>(`SELECT ${STAMP} FROM events ORDER BY seq DESC LIMIT 1`);
    this.name = log.name;
    this.oldest = log.trimmed_seq + 1;
    this.trimmed = { publishedAt: log.trimmed_at, endOffset: log.trimmed_offset };
    this.head = last?.seq ?? log.trimmed_seq;
    this.last = last === undefined ? this.trimmed : toStamp(last);
  }
}

/** Throws if the table cannot be read. */
export function readLogRow(sql: Sql): LogRow {
  const [row] = sql.rows<LogRow>("SELECT * FROM log");
  if (row === undefined) {
    throw new Error("the log of this channel has no name");
  }
  return row;
}
