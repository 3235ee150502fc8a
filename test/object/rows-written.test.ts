import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";

import { ROWS } from "../../bench/capacity/costs.ts";
import { objectSql } from "../../src/edge/object-sql.ts";
import { SeatTable } from "../../src/sql/seat-table.ts";
import type { Sql } from "../../src/sql/sql.ts";
import { SqlLog } from "../../src/sql/sql-log.ts";
import { newEvent } from "../support/hub/new-event.ts";
import { hubOf, newChannel } from "./service.ts";

/** A database that counts the rows that Cloudflare bills. */
function counted(storage: DurableObjectStorage): { readonly sql: Sql; readonly take: () => number } {
  let written = 0;
  const sql: Sql = {
    ...objectSql(storage),
    rows: (query, ...bindings) => {
      const cursor = storage.sql.exec(query, ...bindings);
      const rows = cursor.toArray();
      written += cursor.rowsWritten;
      return rows as never;
    },
  };
  return {
    sql,
    take: () => {
      const taken = written;
      written = 0;
      return taken;
    },
  };
}

it("an event and a change of seats write as many rows as the simulation counts", () =>
  runInDurableObject(hubOf(newChannel()), async (_hub, { storage }) => {
    const { sql, take } = counted(storage);
    const log = new SqlLog(sql);
    log.append([newEvent({ key: "first" })], 1_000, 1);
    take();
    const events = 100;
    for (let event = 0; event < events; event++) {
      log.append([newEvent({ key: String(event) })], 1_000, 1);
    }
    expect(take()).toBe(events * ROWS.insert);
    log.trim(events);
    // The log's own row says what was trimmed, once for all of these events.
    expect(take()).toBe(events * ROWS.trim + 1);

    const seats = new SeatTable(sql);
    seats.save({ relay: "europe/1", life: "a", held: 5, version: 1 });
    take();
    seats.save({ relay: "europe/1", life: "a", held: 6, version: 2 });
    expect(take()).toBe(ROWS.seats);
    await storage.sync();
  }));
