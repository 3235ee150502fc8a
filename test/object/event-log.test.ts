import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { objectSql } from "../../src/edge/object-sql.ts";
import { SqlLog } from "../../src/sql/sql-log.ts";
import type { EventLog } from "../../src/hub/log/event-log.ts";
import { registerFormerLogTests } from "../support/hub/former-log.ts";
import { registerEventLogTests } from "../support/hub/event-log-suite.ts";
import { newEvent, newEvents } from "../support/hub/new-event.ts";
import { eventsOf } from "../support/hub/read-log.ts";
import { hubOf, newChannel } from "./service.ts";

/** Runs a test with a log in the storage of an object of its own. */
function withLog(
  test: (log: EventLog, reopen: () => EventLog, storage: DurableObjectStorage) => void | Promise<void>,
) {
  return runInDurableObject(hubOf(newChannel()), async (_hub, { storage }) => {
    await test(new SqlLog(objectSql(storage)), () => new SqlLog(objectSql(storage)), storage);
  });
}

function tablesOf({ sql }: DurableObjectStorage): unknown[] {
  return sql.exec("SELECT name FROM sqlite_master").toArray();
}

describe("an event log in SQLite", () => {
  registerEventLogTests({ withLog, propertyRuns: 25 });

  it("that is only looked at writes nothing", () =>
    withLog((log, _reopen, storage) => {
      expect([log.head, log.oldest, log.name, log.read(0, 1_000, "all")]).toEqual([0, 1, null, []]);
      expect(tablesOf(storage)).toEqual([]);
    }));

  it("stores all of a batch or, when one event of it cannot be stored, nothing", () =>
    withLog((log, reopen) => {
      log.append([newEvent({ key: "kept" })], 1_000, 1);
      const broken = { ...newEvent(), data: null as unknown as string };
      const batch = [newEvent({ key: "a" }), newEvent({ key: "b" }), broken, newEvent()];
      expect(() => log.append(batch, 2_000, 1)).toThrow(/NOT NULL/);
      for (const each of [log, reopen()]) {
        expect([each.head, eventsOf(each).length, each.stamp(1).publishedAt]).toEqual([1, 1, 1_000]);
      }
      expect(log.append([newEvent({ key: "a" })], 1_500, 1).receipts).toMatchObject([
        { seq: 2, duplicate: false },
      ]);
      expect(log.stamp(2).publishedAt).toBe(1_500);
    }));

  it("takes back that a key was free again, together with such a batch", () =>
    withLog((log) => {
      log.append([newEvent({ key: "a" }), newEvent()], 1_000, 1);
      const broken = { ...newEvent(), data: null as unknown as string };
      expect(() => log.append([newEvent({ key: "a" }), broken], 2_000, 2)).toThrow(/NOT NULL/);
      expect(log.append([newEvent({ key: "a" })], 2_000, 1).receipts).toMatchObject([
        { seq: 1, duplicate: true },
      ]);
    }));

  registerFormerLogTests((test) =>
    runInDurableObject(hubOf(newChannel()), (_hub, { storage }) =>
      test(objectSql(storage), () => objectSql(storage)),
    ),
  );

  it("reads a log that an older step of the tables has written", () =>
    withLog((log, reopen, storage) => {
      log.append(newEvents(3), 1_000, 1);
      const before = storage.sql.exec("SELECT * FROM migrations").toArray();
      expect(eventsOf(reopen())).toHaveLength(3);
      expect(storage.sql.exec("SELECT * FROM migrations").toArray()).toEqual(before);
    }));

  it("finds keys and stamps by an index, not by a walk over all events", () =>
    withLog((log, _reopen, storage) => {
      log.append(newEvents(5_000), 1_000, 1);
      const read = (work: () => void): number => {
        const statements: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
        const exec = storage.sql.exec.bind(storage.sql);
        storage.sql.exec = ((query: string, ...bindings: SqlStorageValue[]) => {
          const cursor = exec(query, ...bindings);
          statements.push(cursor);
          return cursor;
        }) as typeof exec;
        work();
        storage.sql.exec = exec;
        return statements.reduce((sum, cursor) => sum + cursor.rowsRead, 0);
      };
      expect(read(() => log.append([newEvent({ key: "new" })], 1_000, 1))).toBeLessThan(20);
      expect(read(() => log.append([newEvent({ key: "new" })], 1_000, 1))).toBeLessThan(20);
      expect(read(() => log.stamp(2_500))).toBeLessThan(5);
      expect(read(() => log.read(2_500, 1_000, "all"))).toBeLessThan(2_100);
    }));
});
