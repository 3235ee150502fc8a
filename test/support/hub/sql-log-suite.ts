import { expect, it } from "vitest";

import type { Sql } from "../../../src/sql/sql.ts";
import { SqlLog } from "../../../src/sql/sql-log.ts";
import { registerEventLogTests } from "./event-log-suite.ts";
import { newEvent, newEvents } from "./new-event.ts";
import { eventsOf } from "./read-log.ts";

/** A host with SQLite databases. */
export interface SqlHost {
  /**
   * Runs a test with a new database. `reopen` returns the database as a restart finds it. Do not use the old one after
   * that.
   */
  withSql(test: (sql: Sql, reopen: () => Sql) => void | Promise<void>): Promise<void>;
  /** As `LogHost.propertyRuns`. */
  readonly propertyRuns: number;
}

/** The promises of a log in SQLite, whatever runs the statements. Called inside a `describe`. */
export function registerSqlLogTests({ withSql, propertyRuns }: SqlHost): void {
  registerEventLogTests({
    withLog: (test) => withSql((sql, reopen) => test(new SqlLog(sql), () => new SqlLog(reopen()))),
    propertyRuns,
  });

  it("creates no table when it is only read", () =>
    withSql((sql) => {
      const log = new SqlLog(sql);
      expect([log.head, log.oldest, log.name, log.read(0, 1_000, "all")]).toEqual([0, 1, null, []]);
      expect(sql.rows("SELECT name FROM sqlite_master")).toEqual([]);
    }));

  it("stores all events of a batch or, if one of them cannot be stored, no event", () =>
    withSql((sql, reopen) => {
      const log = new SqlLog(sql);
      log.append([newEvent({ key: "kept" })], 1_000, 1);
      const batch = [newEvent({ key: "a" }), newEvent({ key: "b" }), unstorable(), newEvent()];
      expect(() => log.append(batch, 2_000, 1)).toThrow(/NOT NULL/);
      expect([log.head, eventsOf(log).length, log.stamp(1).publishedAt]).toEqual([1, 1, 1_000]);
      const reopened = new SqlLog(reopen());
      expect([reopened.head, eventsOf(reopened).length, reopened.stamp(1).publishedAt]).toEqual([
        1, 1, 1_000,
      ]);
    }));

  it("continues after such a batch with its keys and its ids", () =>
    withSql((sql) => {
      const log = new SqlLog(sql);
      log.append([newEvent()], 1_000, 1);
      expect(() => log.append([newEvent({ key: "a" }), unstorable()], 2_000, 1)).toThrow(/NOT NULL/);
      expect(log.append([newEvent({ key: "a" })], 1_500, 1).receipts).toMatchObject([
        { seq: 2, duplicate: false },
      ]);
      expect(log.stamp(2).publishedAt).toBe(1_500);
    }));

  it("rolls back the release of an old key together with such a batch", () =>
    withSql((sql) => {
      const log = new SqlLog(sql);
      log.append([newEvent({ key: "a" }), newEvent()], 1_000, 1);
      expect(() => log.append([newEvent({ key: "a" }), unstorable()], 2_000, 2)).toThrow(/NOT NULL/);
      expect(log.append([newEvent({ key: "a" })], 2_000, 1).receipts).toMatchObject([
        { seq: 1, duplicate: true },
      ]);
    }));

  it("applies no step of its tables twice", () =>
    withSql((sql, reopen) => {
      new SqlLog(sql).append(newEvents(3), 1_000, 1);
      const applied = sql.rows("SELECT * FROM migrations");
      const reopened = reopen();
      expect(eventsOf(new SqlLog(reopened))).toHaveLength(3);
      expect(reopened.rows("SELECT * FROM migrations")).toEqual(applied);
    }));
}

/** An event that the table refuses. */
function unstorable(): ReturnType<typeof newEvent> {
  return { ...newEvent(), data: null as unknown as string };
}
