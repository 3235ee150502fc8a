import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { Database } from "../../../src/deno/database.ts";
import type { Sql } from "../../../src/sql/sql.ts";
import { SqlLog } from "../../../src/sql/sql-log.ts";
import { registerFormerLogTests } from "../../support/hub/former-log.ts";
import { newEvent, newEvents } from "../../support/hub/new-event.ts";
import { eventsOf } from "../../support/hub/read-log.ts";
import { registerSqlLogTests } from "../../support/hub/sql-log-suite.ts";

const folder = mkdtempSync(join(tmpdir(), "edge-sse-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

function newFile(): string {
  return join(folder, `${++files}.sqlite`);
}

function neverLost(error: unknown): void {
  throw error;
}

/** Runs a test with a database in a file of its own. */
async function withSql(test: (sql: Sql, reopen: () => Sql) => void | Promise<void>): Promise<void> {
  const file = newFile();
  let database = new Database(file, neverLost);
  const reopen = (): Sql => {
    database.close();
    database = new Database(file, neverLost);
    return database;
  };
  try {
    await test(database, reopen);
  } finally {
    database.close();
  }
}

/** Fails the next commit as a full disk does, with everything that the log has written since the last one. */
function failCommit(database: Database): void {
  database.script("CREATE TABLE IF NOT EXISTS parents (id INTEGER PRIMARY KEY)");
  database.script(
    "CREATE TABLE IF NOT EXISTS children (id REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
  );
  database.script("INSERT INTO children VALUES (1)");
}

describe("an event log in a file", () => {
  registerSqlLogTests({ withSql, propertyRuns: 10 });

  registerFormerLogTests((test) => {
    const file = newFile();
    const open: Database[] = [];
    const reopen = (): Database => {
      open.pop()?.close();
      const database = new Database(file, neverLost);
      open.push(database);
      return database;
    };
    try {
      test(reopen(), reopen);
    } finally {
      open.pop()?.close();
    }
  });

  it("commits the appends of one turn together, and then resolves all of them", () =>
    withSql(async (database) => {
      const log = new SqlLog(database);
      log.append([newEvent()], 1_000, 1);
      const first = log.sync();
      log.append([newEvent()], 1_000, 1);
      expect(log.sync()).toBe(first);
      await first;
      log.append([newEvent()], 1_000, 1);
      expect(log.sync()).not.toBe(first);
      await database.sync();
      expect(log.head).toBe(3);
    }));

  it("does not wait if nothing was written", () =>
    withSql(async (database) => {
      const log = new SqlLog(database);
      await expect(log.sync()).resolves.toBeUndefined();
    }));

  it("drops the events of a failed commit, rejects every caller that waits for it, and goes on", async () => {
    const lost: unknown[] = [];
    const database = new Database(newFile(), (error) => {
      lost.push(error);
      log.reload();
    });
    const log = new SqlLog(database);
    log.append(newEvents(2), 1_000, 1);
    await log.sync();
    log.append(newEvents(3), 2_000, 1);
    const waiting = [log.sync(), log.sync()];
    failCommit(database);
    for (const outcome of await Promise.allSettled(waiting)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { message: /FOREIGN KEY/ } });
    }
    expect(lost).toHaveLength(1);
    expect([log.head, eventsOf(log).length]).toEqual([2, 2]);
    expect(log.append([newEvent()], 3_000, 1)).toMatchObject({ receipts: [{ seq: 3, duplicate: false }] });
    await log.sync();
    expect(eventsOf(log).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    database.close();
  });

  it("reports a full storage, stores no event of the batch, and goes on when there is room", () =>
    withSql(async (database, reopen) => {
      const log = new SqlLog(database);
      log.append(newEvents(2), 1_000, 1);
      await log.sync();
      database.script("PRAGMA max_page_count = 12");
      const large = { ...newEvent(), data: JSON.stringify("x".repeat(60_000)) };
      expect(() => log.append([newEvent(), large], 2_000, 1)).toThrow(/storage of this channel is full/);
      expect([log.head, eventsOf(log).length]).toEqual([2, 2]);
      database.script("PRAGMA max_page_count = 1000");
      log.append([large], 2_000, 1);
      await log.sync();
      expect([new SqlLog(reopen()).head, log.head]).toEqual([3, 3]);
    }));

  it("is refused to a second process", async () => {
    const file = newFile();
    const database = new Database(file, neverLost);
    new SqlLog(database).create();
    await database.sync();
    expect(() => new Database(file, neverLost)).toThrow(/locked/);
    database.close();
  });

  it("is refused in a file that is not a database", () => {
    const other = newFile();
    writeFileSync(
      other,
      "not a database, but text that is long enough to be taken for its header".repeat(20),
    );
    expect(() => new Database(other, neverLost)).toThrow(/not a database/);
  });
});
