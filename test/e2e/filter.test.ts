import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { channels: { allowed: ["*"] }, sse: { heartbeat_interval_seconds: 1, max_connections: 1000 } },
  });
});

afterAll(() => service.stop());

/** What every filter is asked about; the data is the name by which the tests speak of the event. */
const events = [
  { type: "turn_detected", data: "p1a1", project_id: 1, agent_id: 1 },
  { type: "turn_ended", data: "p1a2", project_id: 1, agent_id: 2 },
  { type: "turn", data: "p2", project_id: "2" },
  { type: "state", data: "a1", agent_id: "1" },
  { type: "state", data: "none" },
  { type: "returned", data: "p12", project_id: 12 },
  { type: "Turn_x", data: "pX", project_id: "X" },
] as const;

const everything = events.map((event) => event.data);

/** Queries of each kind, and the events that they let through. `test/unit/hub/filter.test.ts` has the rules. */
const cases: [query: string, seen: readonly string[]][] = [
  ["", everything],
  ["types=turn_detected&types=state", ["p1a1", "a1", "none"]],
  ["types=turn_*,returned", ["p1a1", "p1a2", "p12"]],
  ["types=%74urn", ["p2"]],
  ["project_id=1,2", ["p1a1", "p1a2", "p2"]],
  ["types=turn_*&project_id=1&agent_id=1,2", ["p1a1", "p1a2"]],
  ["types=nothing_like_it", []],
];

describe("The stream: filters", () => {
  const live = new Map<string, string[]>();
  const replayed = new Map<string, string[]>();

  beforeAll(async () => {
    const path = "/api/events?channel=cases";
    const open = (suffix: string): Promise<[string, RawStream][]> =>
      Promise.all(
        cases.map(
          async ([query]) => [query, await service.raw(`${path}&${query}${suffix}`)] as [string, RawStream],
        ),
      );
    const early = await open("");
    await Promise.all(early.map(([, stream]) => stream.nextEvent({ type: "connected" })));
    await service.publish(events, "cases");
    const late = await open("&since=earliest");
    for (const [streams, seen] of [
      [early, live],
      [late, replayed],
    ] as const) {
      for (const [query, stream] of streams) {
        // A heartbeat comes only to whom nothing is owed.
        await stream.nextComment();
        seen.set(
          query,
          stream.events.slice(1).map((event) => JSON.parse(event.data) as string),
        );
        stream.reset();
      }
    }
  });

  it.each(cases)("?%s lets the right events through, live and in replay", (query, seen) => {
    expect({ live: live.get(query), replayed: replayed.get(query) }).toEqual({ live: seen, replayed: seen });
  });

  it("keeps the ids of the channel: filtered clients see the same numbers, with holes", async () => {
    const stream = await service.stream({ channel: "holes", types: "b" });
    await service.publish(
      [
        { type: "a", data: 1 },
        { type: "b", data: 2 },
        { type: "a", data: 3 },
        { type: "b", data: 4 },
      ],
      "holes",
    );
    expect((await stream.collect(2)).map((event) => event.id)).toEqual(["2", "4"]);
  });

  it("lets the frames of the service itself pass every filter", async () => {
    await service.publish({ type: "a", data: 1 }, "service-frames");
    const stream = await service.stream({ channel: "service-frames", types: "nothing", last_event_id: "77" });
    expect((await stream.nextEvent()).type).toBe("connected");
    expect((await stream.nextEvent()).type).toBe("gap");
    expect((await stream.nextComment()).text).toBe("heartbeat");
  });
});
