import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { isMigrated, migrate } from "../../src/edge/migrations.ts";
import { hubOf, newChannel } from "./service.ts";

const FIRST = "CREATE TABLE first (a TEXT); INSERT INTO first VALUES ('1');";
const SECOND = "ALTER TABLE first ADD COLUMN b TEXT DEFAULT '2';";

function withStorage(test: (storage: DurableObjectStorage) => void): Promise<void> {
  return runInDurableObject(hubOf(newChannel()), (_hub, { storage }) => test(storage));
}

describe("the tables of an object", () => {
  it("are brought up to date step by step, each step applied once", () =>
    withStorage((storage) => {
      expect(isMigrated(storage)).toBe(false);
      migrate(storage, [FIRST]);
      migrate(storage, [FIRST]);
      expect(isMigrated(storage)).toBe(true);
      migrate(storage, [FIRST, SECOND]);
      migrate(storage, [FIRST, SECOND]);
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1", b: "2" }]);
    }));

  it("stay as they were when a step fails", () =>
    withStorage((storage) => {
      migrate(storage, [FIRST]);
      expect(() => migrate(storage, [FIRST, SECOND, "CREATE TABLE first (a TEXT);"])).toThrow(
        /already exists/,
      );
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1" }]);
      migrate(storage, [FIRST, SECOND]);
      expect(storage.sql.exec("SELECT * FROM first").toArray()).toEqual([{ a: "1", b: "2" }]);
    }));

  it("are not there when the first step fails", () =>
    withStorage((storage) => {
      expect(() => migrate(storage, ["CREATE TABLE"])).toThrow(/incomplete|syntax/);
      expect(isMigrated(storage)).toBe(false);
    }));
});
