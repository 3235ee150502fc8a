import type { Stamp, StoredEvent } from "../hub/log/event-log.ts";

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
];

/** The columns of a `StampRow`. */
export const STAMP = "seq, published_at, end_offset";

/** The columns of an `EventRow`. */
export const EVENT = "seq, type, project_id, agent_id, data, published_at";

export type StampRow = { seq: number; published_at: number; end_offset: number };

export type EventRow = {
  seq: number;
  type: string;
  project_id: string | null;
  agent_id: string | null;
  data: string;
  published_at: number;
};

export function toEvent(row: EventRow): StoredEvent {
  const { seq, type, project_id: projectId, agent_id: agentId, data, published_at: publishedAt } = row;
  return { seq, type, projectId, agentId, data, publishedAt };
}

export function toStamp(row: StampRow): Stamp {
  return { publishedAt: row.published_at, endOffset: row.end_offset };
}
