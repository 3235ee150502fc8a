import { describe, expect, it } from "vitest";

import { MemoryEventLog, sizeOf } from "../../../../src/hub/log/event-log.ts";
import { registerEventLogTests } from "../../../support/hub/event-log-suite.ts";
import { newEvent, newEvents } from "../../../support/hub/new-event.ts";

describe("an event log in memory", () => {
  registerEventLogTests({
    propertyRuns: 150,
    async withLog(test) {
      const log = new MemoryEventLog();
      await test(log, () => log);
    },
  });
});

describe("an event log that is full", () => {
  it("stores nothing of a batch that does not fit", () => {
    const log = new MemoryEventLog(3);
    log.append(newEvents(2), 1, 1);
    expect(() => log.append(newEvents(2), 1, 1)).toThrow(expect.objectContaining({ code: "storage_full" }));
    expect([log.head, log.oldest]).toEqual([2, 1]);
    log.append(newEvents(1), 1, 1);
    expect(log.head).toBe(3);
  });

  it("still answers a duplicate", () => {
    const log = new MemoryEventLog(1);
    log.append([newEvent({ key: "a" })], 1, 1);
    expect(log.append([newEvent({ key: "a" })], 1, 1).receipts[0]).toMatchObject({ seq: 1, duplicate: true });
  });
});

describe("the size of an event", () => {
  it("counts its texts with the names of its fields, its key twice (for the index), and the cost of a row", () => {
    const bare = sizeOf(newEvent({ type: "t", data: "1" }));
    expect(bare).toBeGreaterThan(2);
    expect(sizeOf(newEvent({ type: "tt", data: "1" })) - bare).toBe(1);
    expect(sizeOf(newEvent({ type: "t", data: '"ä"' })) - bare).toBe(3);
    expect(
      sizeOf(newEvent({ type: "t", data: "1", fields: { project_id: "12", agent_id: "345" } })) - bare,
    ).toBe("project_id".length + 2 + "agent_id".length + 3);
    expect(sizeOf(newEvent({ type: "t", data: "1", key: "abc" })) - bare).toBe(6);
  });
});
