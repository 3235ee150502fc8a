import type { Stamp, StoredEvent } from "../hub/log/event-log.ts";
import { contentOf } from "./data-text.ts";
import { fieldsOf } from "./field-text.ts";

/** Changes of the tables, in order, each applied once. Only ever append to this list. */
export const LOG_MIGRATIONS: readonly string[] = [
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

/** The columns of a `StampRow`. */
export const STAMP = "seq, published_at, end_offset";

/** The columns of an `EventRow`. */
export const EVENT = "seq, type, fields, former_agent_id, data, published_at";

export type StampRow = { seq: number; published_at: number; end_offset: number };

export type EventRow = {
  seq: number;
  type: string;
  fields: string | null;
  former_agent_id: string | null;
  data: string;
  published_at: number;
};

export function toEvent(row: EventRow): StoredEvent {
  const { seq, type, fields, former_agent_id: formerAgentId, data, published_at: publishedAt } = row;
  return { seq, type, fields: fieldsOf(fields, formerAgentId), ...contentOf(data), publishedAt };
}

export function toStamp(row: StampRow): Stamp {
  return { publishedAt: row.published_at, endOffset: row.end_offset };
}
