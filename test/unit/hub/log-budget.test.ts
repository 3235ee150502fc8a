import { beforeEach, describe, expect, it } from "vitest";

import { LogBudget } from "../../../src/hub/log-budget.ts";
import type { LogFields, LogLevel } from "../../../src/hub/logger.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { FakeHub } from "../../support/hub/fake-hub.ts";

let clock: FakeClock;
let lines: { level: LogLevel; event: string; fields: LogFields | undefined }[];
let budget: LogBudget;

beforeEach(() => {
  clock = new FakeClock();
  lines = [];
  budget = new LogBudget((level, event, fields) => lines.push({ level, event, fields }), clock);
});

const say = (times: number, event: string, fields?: LogFields): void => {
  for (let time = 0; time < times; time++) {
    budget.log("info", event, fields);
  }
};

const counted = (event: string): number =>
  lines
    .filter((line) => line.event === event)
    .reduce((sum, { fields }) => sum + Number(fields?.["count"] ?? 1), 0);

describe("a budget of log lines", () => {
  it("logs the first 20 lines of a second unchanged, without a timer", () => {
    say(20, "left", { client_id: "a", reason: "gone" });
    expect(lines).toEqual(
      Array.from({ length: 20 }, () => ({
        level: "info",
        event: "left",
        fields: { client_id: "a", reason: "gone" },
      })),
    );
    expect(clock.timers).toBe(0);
  });

  it("sums up the other lines of the second in one line, by reason", async () => {
    say(20, "left", { reason: "gone" });
    await clock.advance(400);
    say(30, "left", { reason: "gone" });
    say(5, "left", { reason: "slow" });
    expect(lines).toHaveLength(20);
    await clock.advance(600);
    expect(lines.slice(20)).toEqual([
      { level: "info", event: "left", fields: { count: 35, reasons: { gone: 30, slow: 5 } } },
    ]);
    expect(clock.timers).toBe(0);
  });

  it("gives no reasons if the lines have none", async () => {
    say(22, "came");
    await clock.advance(1_000);
    expect(lines.at(-1)).toEqual({ level: "info", event: "came", fields: { count: 2 } });
  });

  it("starts again every second and loses no line", async () => {
    for (let second = 0; second < 10; second++) {
      say(1_000, "came");
      await clock.advance(1_000);
    }
    expect(lines).toHaveLength(10 * 21);
    expect(counted("came")).toBe(10_000);
  });

  it("counts each event separately, so that a flood of one hides no other", () => {
    say(1_000, "came");
    say(1, "failed");
    expect(lines.at(-1)?.event).toBe("failed");
  });

  it("logs its sums when it is flushed, and only once", async () => {
    say(25, "came");
    budget.flush();
    budget.flush();
    await clock.advance(1_000);
    expect(lines).toHaveLength(21);
    expect(counted("came")).toBe(25);
  });

  it("logs its sums before the next line if no timer has rung", () => {
    say(25, "came");
    clock.setBack(3_600_000);
    say(1, "came");
    expect(lines).toHaveLength(22);
    expect(counted("came")).toBe(26);
  });
});

describe("a hub", () => {
  it("sums up a storm of clients that connect and leave, with their reasons", async () => {
    const hub = new FakeHub({ clock });
    for (let n = 0; n < 200; n++) {
      const stream = await hub.connect({ lastEventId: 0 });
      stream.leave();
      await clock.settle();
    }
    await clock.advance(1_000);
    for (const event of ["client_connected", "client_reconnected", "client_disconnected"]) {
      const told = hub.logged(event);
      expect(told).toHaveLength(21);
      expect(told.reduce((sum, { fields }) => sum + Number(fields["count"] ?? 1), 0)).toBe(200);
    }
    expect(hub.logged("client_disconnected").at(-1)?.fields["reasons"]).toEqual({ client_left: 180 });
  });

  it("logs all ended streams at once when it stops", async () => {
    const hub = new FakeHub({ clock });
    for (let n = 0; n < 100; n++) {
      await hub.connect();
    }
    await clock.advance(5_000);
    hub.hub.stop();
    const reasons = hub.logged("client_disconnected").at(-1)?.fields["reasons"];
    expect(reasons).toEqual({ shutdown: 80 });
  });
});
