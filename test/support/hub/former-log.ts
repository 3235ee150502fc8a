import { expect, it } from "vitest";

import { createFilter } from "../../../src/hub/filter.ts";
import type { Sql } from "../../../src/sql/sql.ts";
import { SqlLog } from "../../../src/sql/sql-log.ts";
import { newEvent } from "./new-event.ts";
import { eventsOf } from "./read-log.ts";

/** The tables as the first step made them, with two columns for the ids of project and agent. */
const FIRST_STEP = `
  CREATE TABLE migrations (step INTEGER PRIMARY KEY) STRICT;
  INSERT INTO migrations (step) VALUES (1);
  CREATE TABLE log (
    name TEXT NOT NULL,
    trimmed_seq INTEGER NOT NULL DEFAULT 0,
    trimmed_at INTEGER NOT NULL DEFAULT 0,
    trimmed_offset INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO log (name) VALUES ('former');
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
  CREATE UNIQUE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;
  INSERT INTO events (seq, type, project_id, agent_id, published_at, end_offset, key, data) VALUES
    (1, 'tick', '7', 'a', 1000, 100, 'k', '1'),
    (2, 'tick', '["7"]', NULL, 1000, 200, NULL, '2'),
    (3, 'tick', NULL, '[', 1000, 300, NULL, '3'),
    (4, 'tick', NULL, NULL, 1000, 400, NULL, '4');
`;

/**
 * A log that an earlier version has written is kept. Called inside a `describe`.
 *
 * @param withSql runs a test with an empty database. `reopen` returns it as a restart finds it
 */
export function registerFormerLogTests(
  withSql: (test: (sql: Sql, reopen: () => Sql) => void) => void | Promise<void>,
): void {
  it("keeps the ids of project and agent that an earlier version has stored", () =>
    withSql((sql, reopen) => {
      sql.script(FIRST_STEP);
      const log = new SqlLog(sql);
      expect([log.name, log.head]).toEqual(["former", 4]);
      const again = { type: "tick", data: "1", key: "k", fields: { agent_id: "a", project_id: "7" } };
      expect(log.append([newEvent(again)], 1_000, 1).receipts).toMatchObject([
        { seq: 1, duplicate: true, conflict: false },
      ]);
      log.append([newEvent({ fields: { project_id: "7", tenant_id: "[" } })], 2_000, 1);
      const fields = [
        { project_id: "7", agent_id: "a" },
        { project_id: '["7"]' },
        { agent_id: "[" },
        {},
        { project_id: "7", tenant_id: "[" },
      ];
      const { matches } = createFilter({ fields: { project_id: ["7"] } });
      const expectKept = (each: SqlLog): void => {
        expect(eventsOf(each).map((event) => event.fields)).toEqual(fields);
        expect(each.outline(0, 10, true).map((outline) => outline.fields)).toEqual(fields);
        expect(each.pick([1, 3, 5]).map((event) => event.fields)).toEqual([fields[0], fields[2], fields[4]]);
        expect(eventsOf(each).filter(matches)).toHaveLength(2);
      };
      expectKept(log);
      expectKept(new SqlLog(reopen()));
    }));
}
