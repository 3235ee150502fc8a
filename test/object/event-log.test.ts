import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { objectSql } from "../../src/edge/object-sql.ts";
import { SqlLog } from "../../src/sql/sql-log.ts";
import { registerFormerLogTests } from "../support/hub/former-log.ts";
import { newEvent, newEvents } from "../support/hub/new-event.ts";
import { registerSqlLogTests } from "../support/hub/sql-log-suite.ts";
import { hubOf, newChannel } from "./service.ts";

describe("an event log in the storage of an object", () => {
  registerSqlLogTests({
    withSql: (test) =>
      runInDurableObject(hubOf(newChannel()), async (_hub, { storage }) => {
        await test(objectSql(storage), () => objectSql(storage));
      }),
    propertyRuns: 25,
  });

  registerFormerLogTests((test) =>
    runInDurableObject(hubOf(newChannel()), (_hub, { storage }) =>
      test(objectSql(storage), () => objectSql(storage)),
    ),
  );

  it("finds keys and stamps by an index, not by a walk over all events", () =>
    runInDurableObject(hubOf(newChannel()), (_hub, { storage }) => {
      const log = new SqlLog(objectSql(storage));
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
