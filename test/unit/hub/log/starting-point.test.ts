import { describe, expect, it } from "vitest";

import { MemoryEventLog } from "../../../../src/hub/log/event-log.ts";
import { Retention } from "../../../../src/hub/log/retention.ts";
import type { Start, StartRequest } from "../../../../src/hub/log/log-view.ts";
import { startingPoint } from "../../../../src/hub/log/starting-point.ts";
import { newEvent, newEvents } from "../../../support/hub/new-event.ts";

const BOUNDS = { maxEvents: 1_000, maxAgeMs: 1_000, maxBytes: 1_000_000 };

/** Ten events at 100, 200, ... 1000. The first three are trimmed. */
function trimmedLog(): MemoryEventLog {
  const log = new MemoryEventLog();
  for (let seq = 1; seq <= 10; seq++) {
    log.append([newEvent()], seq * 100, 1);
  }
  log.trim(3);
  return log;
}

function start(
  request: Partial<StartRequest>,
  { log = trimmedLog(), head, now = 1_000 }: { log?: MemoryEventLog; head?: number; now?: number } = {},
): Start {
  const asked = { lastEventId: null, logName: null, since: null, ...request };
  return startingPoint(asked, log, new Retention(log, BOUNDS), head ?? log.head, now);
}

describe("a client without an id", () => {
  it("starts live, after the head", () => {
    expect(start({})).toEqual({ cursor: 10, gap: null });
  });

  it("starts after the durable head, not after an event that a crash can take back", () => {
    expect(start({}, { head: 8 })).toEqual({ cursor: 8, gap: null });
  });

  it("gets no gap because of another log", () => {
    expect(start({ logName: "another" })).toEqual({ cursor: 10, gap: null });
  });
});

describe("a client with an id", () => {
  it.each([
    ["the head", "10", 10],
    ["one in the middle", "7", 7],
    ["the oldest", "4", 4],
    ["the id before the oldest event, after which nothing is missing", "3", 3],
  ])("continues after it: %s", (_, lastEventId, cursor) => {
    expect(start({ lastEventId })).toEqual({ cursor, gap: null });
  });

  it("continues after it if it names this log", () => {
    const log = trimmedLog();
    expect(start({ lastEventId: "7", logName: log.name }, { log })).toEqual({ cursor: 7, gap: null });
  });

  it.each(["0", "1", "2"])("that is older than the history gets a gap: %s", (lastEventId) => {
    const gap = { reason: "expired", requestedId: lastEventId, oldest: 4, latest: 10 };
    expect(start({ lastEventId })).toEqual({ cursor: 3, gap });
  });

  it("gets a gap if its next event is too old, even if it is not trimmed yet", () => {
    const gap = { reason: "expired", requestedId: "4", oldest: 6, latest: 10 };
    expect(start({ lastEventId: "4" }, { now: 1_600 })).toEqual({ cursor: 5, gap });
  });

  it.each([
    "11",
    "-1",
    "-0",
    "+5",
    "1e9",
    "1e0",
    "01",
    "00",
    "5.0",
    "0x5",
    " 5",
    "5 ",
    "5\n",
    "٥",
    "NaN",
    "Infinity",
    "null",
    "abc",
    "9007199254740991",
    "9007199254740993",
    "99999999999999999999",
    "5,6",
    "7".repeat(10_000),
  ])("that is not one of this log starts from the oldest event, with a gap: %s", (lastEventId) => {
    const gap = { reason: "unknown", requestedId: lastEventId, oldest: 4, latest: 10 };
    expect(start({ lastEventId })).toEqual({ cursor: 3, gap });
  });

  it("that is not durable yet is unknown, because no client can have received it", () => {
    expect(start({ lastEventId: "9" }, { head: 8 })).toMatchObject({
      cursor: 3,
      gap: { reason: "unknown", latest: 8 },
    });
    expect(start({ lastEventId: "8" }, { head: 8 })).toEqual({ cursor: 8, gap: null });
  });

  it("starts at the durable head at the latest, even if all events are too old", () => {
    const gap = { reason: "expired", requestedId: "5", oldest: 9, latest: 8 };
    expect(start({ lastEventId: "5" }, { head: 8, now: 9_000 })).toEqual({ cursor: 8, gap });
    expect(start({ since: "oldest" }, { head: 8, now: 9_000 })).toEqual({ cursor: 8, gap: null });
  });

  it("of another log is unknown, whatever its number", () => {
    for (const lastEventId of ["0", "3", "7", "10"]) {
      const gap = { reason: "unknown", requestedId: lastEventId, oldest: 4, latest: 10 };
      expect(start({ lastEventId, logName: "another" })).toEqual({ cursor: 3, gap });
    }
  });

  it("is not affected by since", () => {
    expect(start({ lastEventId: "7", since: "earliest" })).toEqual({ cursor: 7, gap: null });
  });
});

describe("a client that asks for past events", () => {
  it.each([
    ["the oldest kept event", "oldest", 3],
    ["the time of an event, which is included", 700, 6],
    ["a time between two events", 701, 7],
    ["a time between the last trimmed event and the oldest one", 301, 3],
    ["the time of the head", 1_000, 9],
    ["the future: live only", 5_000, 10],
    ["the far future", 1e15, 10],
  ] as const)("starts at %s", (_, since, cursor) => {
    expect(start({ since })).toEqual({ cursor, gap: null });
  });

  it.each([
    ["the first event of the channel", "earliest"],
    ["a time before the first event", 50],
    ["the time of the last trimmed event", 300],
    ["long before the epoch", -1e15],
  ] as const)("is told of a gap if events were trimmed from then on: %s", (_, since) => {
    const gap = { reason: "expired", requestedId: null, oldest: 4, latest: 10 };
    expect(start({ since })).toEqual({ cursor: 3, gap });
  });

  it("gets every event of a channel that was never trimmed, without a gap", () => {
    const log = new MemoryEventLog();
    log.append(newEvents(3), 1_000, 1);
    expect(start({ since: "earliest" }, { log })).toEqual({ cursor: 0, gap: null });
    expect(start({ since: 1 }, { log })).toEqual({ cursor: 0, gap: null });
  });

  it("gets a gap for events that are too old, even if they are not trimmed yet", () => {
    const gap = { reason: "expired", requestedId: null, oldest: 6, latest: 10 };
    expect(start({ since: "earliest" }, { now: 1_600 })).toEqual({ cursor: 5, gap });
    expect(start({ since: 100 }, { now: 1_600 })).toEqual({ cursor: 5, gap });
    expect(start({ since: "oldest" }, { now: 1_600 })).toEqual({ cursor: 5, gap: null });
  });

  it("never starts after the durable head", () => {
    expect(start({ since: 1_000 }, { head: 8 })).toEqual({ cursor: 8, gap: null });
    expect(start({ since: 5_000 }, { head: 8 })).toEqual({ cursor: 8, gap: null });
  });
});

describe("an empty channel", () => {
  const log = new MemoryEventLog();

  it.each([{}, { since: "earliest" }, { since: 5 }, { lastEventId: "0" }] as const)(
    "starts at 0 for %o",
    (request) => {
      expect(start(request, { log })).toEqual({ cursor: 0, gap: null });
    },
  );

  it("knows no other id", () => {
    const gap = { reason: "unknown", requestedId: "1", oldest: 1, latest: 0 };
    expect(start({ lastEventId: "1" }, { log })).toEqual({ cursor: 0, gap });
  });

  it("starts at 0 if its first event is not durable yet", () => {
    const young = new MemoryEventLog();
    young.append(newEvents(3), 1_000, 1);
    for (const request of [{}, { since: "earliest" }, { since: 1_000 }] as const) {
      expect(start(request, { log: young, head: 0 })).toEqual({ cursor: 0, gap: null });
    }
  });
});

describe("a channel that was trimmed to nothing", () => {
  const log = trimmedLog();
  log.trim(10);

  it("continues after its head", () => {
    for (const request of [{}, { since: "oldest" }, { since: 5_000 }, { lastEventId: "10" }] as const) {
      expect(start(request, { log })).toEqual({ cursor: 10, gap: null });
    }
  });

  it("gives a gap that says that no event is kept", () => {
    const gap = { reason: "expired", requestedId: "9", oldest: 11, latest: 10 };
    expect(start({ lastEventId: "9" }, { log })).toEqual({ cursor: 10, gap });
    for (const since of ["earliest", 5] as const) {
      expect(start({ since }, { log })).toEqual({ cursor: 10, gap: { ...gap, requestedId: null } });
    }
  });

  it("behaves the same if all events are too old but not trimmed", () => {
    const gap = { reason: "expired", requestedId: "9", oldest: 11, latest: 10 };
    expect(start({ lastEventId: "9" }, { now: 9_000 })).toEqual({ cursor: 10, gap });
    expect(start({ since: "earliest" }, { now: 9_000 })).toEqual({
      cursor: 10,
      gap: { ...gap, requestedId: null },
    });
  });
});
