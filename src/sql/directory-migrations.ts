import { CREATIONS_TABLE } from "./creation-quota.ts";

/** Changes of the tables, in order, each applied once. Only ever append to this list. */
export const DIRECTORY_MIGRATIONS: readonly string[] = [
  `CREATE TABLE channels (name TEXT PRIMARY KEY, launch_id TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
  // Older channels count as published to, so that they are not forgotten, and as occupied, because their hubs may have
  // clients. A hub without clients corrects that.
  `ALTER TABLE channels RENAME TO channels_before;
   CREATE TABLE channels (
     name TEXT PRIMARY KEY,
     is_published INTEGER NOT NULL,
     is_occupied INTEGER NOT NULL,
     used_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   INSERT INTO channels SELECT name, 1, 1, 0 FROM channels_before;
   DROP TABLE channels_before;
   CREATE INDEX channels_by_activity ON channels (is_occupied, used_at);
   CREATE INDEX channels_unpublished ON channels (is_occupied, used_at) WHERE is_published = 0;
   CREATE TABLE drains (
     name TEXT PRIMARY KEY,
     -- Until when the drain of this channel alone lasts; 0: there is none.
     own_until INTEGER NOT NULL,
     -- Until when its hub thinks that it is drained.
     told_until INTEGER NOT NULL,
     -- The drain of all channels from which it was resumed; 0: none.
     exempt_from INTEGER NOT NULL,
     epoch INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   ${CREATIONS_TABLE}`,
];
