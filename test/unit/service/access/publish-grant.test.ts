import { describe, expect, it } from "vitest";

import type { Grant } from "../../../../src/auth/grant.ts";
import type { PlacedEvent } from "../../../../src/service/request/event-gate.ts";
import { requireGranted } from "../../../../src/service/access/publish-grant.ts";
import { Problem } from "../../../../src/service/response/problem.ts";
import type { NewEvent } from "../../../../src/hub/log/event-log.ts";

function event(type: string, projectId: string | null = null, agentId: string | null = null): NewEvent {
  const fields = {
    ...(projectId !== null && { project_id: projectId }),
    ...(agentId !== null && { agent_id: agentId }),
  };
  return { type, fields, data: "1", isText: false, dataBytes: 1, key: null };
}

function inArray(events: readonly NewEvent[]): PlacedEvent[] {
  return events.map((each, index) => ({ position: { index }, event: each }));
}

/** The mistakes of events under a grant; null if the grant allows all events. */
function refusalOf(
  events: readonly NewEvent[],
  grant: Grant,
  channel = "board-1",
  placed = inArray(events),
): Problem | null {
  try {
    requireGranted(channel, placed, grant);
    return null;
  } catch (error) {
    if (error instanceof Problem) {
      return error;
    }
    throw error;
  }
}

function fieldsOf(refusal: Problem | null): unknown[] | undefined {
  return refusal?.errors.map(({ index, line, field }) => [index ?? `line ${line}`, field]);
}

describe("the grant of a publisher", () => {
  it.each<[Grant]>([
    [{}],
    [{ channels: ["board-*"] }],
    [{ types: ["turn_*"], fields: { project_id: ["7"], agent_id: ["1", "2"] } }],
    [{ channels: ["*"], types: ["*"] }],
  ])("allows these events: %j", (grant) => {
    expect(refusalOf([event("turn_1", "7", "1"), event("turn_2", "7", "2")], grant)).toBeNull();
  });

  it("refuses the whole request for one event, and names the event and its field", () => {
    const events = [event("turn_1", "7"), event("done", "8"), event("turn_2", null)];
    const refusal = refusalOf(events, { types: ["turn_*"], fields: { project_id: ["7"] } });
    expect(refusal).toMatchObject({ code: "forbidden" });
    expect(fieldsOf(refusal)).toEqual([
      [1, "type"],
      [1, "project_id"],
      [2, "project_id"],
    ]);
  });

  it.each<[Grant]>([[{ channels: [] }], [{ channels: ["board-2"] }], [{ channels: ["board"] }]])(
    "refuses another channel: %j",
    (grant) => {
      expect(fieldsOf(refusalOf([event("a"), event("b")], grant))).toEqual([
        [0, "channel"],
        [1, "channel"],
      ]);
    },
  );

  it("names the lines of an NDJSON body, blank lines counted", () => {
    const events = [event("a"), event("b")];
    const placed = [3, 7].map((line, index) => ({
      position: { line },
      event: event(["a", "b"][index] ?? ""),
    }));
    expect(fieldsOf(refusalOf(events, { types: ["a"] }, "board-1", placed))).toEqual([["line 7", "type"]]);
  });

  it("names at most 100 events, and repeats nothing that was sent", () => {
    const events = Array.from({ length: 1_000 }, () => event("secret_type", "secret-project"));
    const refusal = refusalOf(events, { types: [], fields: { project_id: [], agent_id: [] } });
    expect(refusal?.errors).toHaveLength(100);
    expect(JSON.stringify([refusal?.message, refusal?.errors])).not.toContain("secret");
  });
});
