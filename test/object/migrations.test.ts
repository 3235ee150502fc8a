import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { objectSql } from "../../src/edge/object-sql.ts";
import { isMigrated, migrate } from "../../src/sql/migrations.ts";
import { hubOf, newChannel } from "./service.ts";

const FIRST = "CREATE TABLE first (a TEXT); INSERT INTO first VALUES ('1');";
const SECOND = "ALTER TABLE first ADD COLUMN b TEXT DEFAULT '2';";

function withStorage(test: (storage: DurableObjectStorage) => void): Promise<void> {
  return runInDurableObject(hubOf(newChannel()), (_hub, { storage }) => test(storage));
}

describe("the tables of an object", () => {
  it("are brought up to date step by step, each step applied once", () =>
    withStorage((storage) => {
      expect(isMigrated(objectSql(storage))).toBe(false);
      migrate(objectSql(storage), [FIRST]);
      migrate(objectSql(storage), [FIRST]);
      expect(isMigrated(objectSql(storage))).toBe(true);
      migrate(objectSql(storage), [FIRST, SECOND]);
      migrate(objectSql(storage), [FIRST, SECOND]);
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1", b: "2" }]);
    }));

  it("stay as they were when a step fails", () =>
    withStorage((storage) => {
      migrate(objectSql(storage), [FIRST]);
      expect(() => migrate(objectSql(storage), [FIRST, SECOND, "CREATE TABLE first (a TEXT);"])).toThrow(
        /already exists/,
      );
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1" }]);
      migrate(objectSql(storage), [FIRST, SECOND]);
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1", b: "2" }]);
    }));

  it("do not exist after the first step has failed", () =>
    withStorage((storage) => {
      expect(() => migrate(objectSql(storage), ["CREATE TABLE"])).toThrow(/incomplete|syntax/);
      expect(isMigrated(objectSql(storage))).toBe(false);
    }));
});
