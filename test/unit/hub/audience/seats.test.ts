import { describe, expect, it } from "vitest";

import { Audience } from "../../../../src/hub/audience/audience.ts";
import type { Seats } from "../../../../src/hub/audience/seats.ts";
import { Alarm } from "../../../../src/hub/alarm.ts";
import { Closing } from "../../../../src/hub/closing.ts";
import { createCounters } from "../../../../src/hub/counters.ts";
import { HubError } from "../../../../src/hub/errors.ts";
import type { LogView } from "../../../../src/hub/log/log-view.ts";
import { FakeHub, SETTINGS } from "../../../support/hub/fake-hub.ts";
import { FakeStream } from "../../../support/hub/fake-stream.ts";
import { dataOf } from "../../../support/hub/frames.ts";
import { outcomeOf } from "../../../support/hub/outcome.ts";

/** Seats whose number a test changes, and which are granted when a test says. */
class LentSeats implements Seats {
  limit: number;
  lefts = 0;
  readonly requests: { readonly grant: () => void; readonly refuse: (error: HubError) => void }[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  request(): Promise<void> {
    return new Promise((resolve, refuse) => {
      this.requests.push({
        grant: () => {
          this.limit++;
          resolve();
        },
        refuse,
      });
    });
  }

  left(): void {
    this.lefts++;
  }
}

function lentHub(limit: number): { hub: FakeHub; seats: LentSeats } {
  const seats = new LentSeats(limit);
  return { hub: new FakeHub({ settings: { maxConnections: 1_000 }, seats }), seats };
}

describe("a connect that finds no seat", () => {
  it("asks for one, and takes it when it is granted", async () => {
    const { hub, seats } = lentHub(0);
    const { stream, entered } = hub.ask();
    const outcome = outcomeOf(entered);
    await hub.clock.settle();
    expect([outcome.state, seats.requests.length, stream.writes.length]).toEqual(["waiting", 1, 0]);
    seats.requests[0]?.grant();
    await hub.clock.settle();
    expect([outcome.state, stream.seen.events[0]?.type]).toEqual(["done", "connected"]);
  });

  it("asks for none while there are seats", async () => {
    const { hub, seats } = lentHub(2);
    await hub.connect();
    await hub.connect();
    expect(seats.requests).toHaveLength(0);
  });

  it("is sent to another relay, which is no refusal", async () => {
    const { hub, seats } = lentHub(0);
    const { entered } = hub.ask();
    await hub.clock.settle();
    seats.requests[0]?.refuse(new HubError("relay_full", "Full.", { next: "europe/2" }));
    await expect(entered).rejects.toMatchObject({ code: "relay_full", next: "europe/2" });
    expect([hub.hub.counters.rejections, hub.logged("connect_refused")]).toEqual([{}, []]);
  });

  it("waits for a dead client if none is granted, and is then refused", async () => {
    const { hub, seats } = lentHub(1);
    const present = await hub.connect();
    await hub.clock.advance(1_000);
    const outcome = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    expect(present.seen.comments).toEqual([]);
    seats.limit--;
    seats.requests[0]?.grant();
    await hub.clock.advance(249);
    expect([outcome.state, present.seen.comments]).toEqual(["waiting", ["heartbeat"]]);
    await hub.clock.advance(1);
    expect(outcome.state).toBe("limit");
  });

  it("is refused if the channel was drained meanwhile", async () => {
    const { hub, seats } = lentHub(0);
    const outcome = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    hub.hub.drain(hub.clock.now() + 60_000);
    seats.requests[0]?.grant();
    await hub.clock.settle();
    expect(outcome.state).toBe("draining");
  });

  it("does not take more seats than there are, however many are asked for at once", async () => {
    const { hub, seats } = lentHub(0);
    const outcomes = Array.from({ length: 5 }, () => outcomeOf(hub.ask().entered));
    await hub.clock.settle();
    seats.requests[0]?.grant();
    for (const { grant } of seats.requests.slice(1)) {
      seats.limit--;
      grant();
    }
    await hub.clock.advance(1_000);
    expect(outcomes.filter(({ state }) => state === "done")).toHaveLength(1);
  });
});

describe("a client that leaves", () => {
  it("is reported to the seats", async () => {
    const { hub, seats } = lentHub(2);
    const [first] = [await hub.connect(), await hub.connect()];
    first.leave();
    await hub.clock.settle();
    expect(seats.lefts).toBe(1);
  });
});

/** An audience by itself, with live clients only. */
function audienceWith(seats: Seats): { hub: FakeHub; audience: Audience } {
  const hub = new FakeHub({ seats });
  const { clock, logger } = hub;
  const closing = new Closing({ clock, saveDrain: () => {} }, logger);
  const alarm = new Alarm(SETTINGS.heartbeatIntervalMs, () => {});
  const view: LogView = {
    name: "log",
    head: () => 0,
    oldest: () => 1,
    start: () => ({ cursor: 0, gap: null }),
    page: () => {
      throw new Error("there are no events");
    },
    isInMemory: () => true,
    onAdvance: () => {},
    check: () => {},
  };
  const parts = { clock, logger, counters: createCounters(), alarm, closing };
  return { hub, audience: new Audience(hub.settings, view, hub, parts) };
}

async function connected(audience: Audience): Promise<FakeStream> {
  const stream = new FakeStream();
  const start = { lastEventId: null, logName: null, since: null };
  await audience.connect({ terms: {}, start, address: null, endsAt: null }, stream);
  return stream;
}

describe("seats that are gone", () => {
  it("end the newest clients, which may come back later", async () => {
    const seats = new LentSeats(4);
    const { hub, audience } = audienceWith(seats);
    const streams = [];
    for (let count = 0; count < 4; count++) {
      streams.push(await connected(audience));
    }
    await hub.clock.settle();
    expect(audience.endExcess()).toBe(0);
    seats.limit = 2;
    expect(audience.endExcess()).toBe(2);
    await hub.clock.settle();
    expect([audience.size, streams.map(({ isEnded }) => isEnded)]).toEqual([2, [false, false, true, true]]);
    expect(dataOf(streams[3]?.seen.events.at(-1))).toEqual({ reason: "limit", retry_after_ms: 7_500 });
  });
});

describe("a relay that is a client of a hub", () => {
  const relay = { name: "europe/1", life: "a" };

  it("has a stream that does not age and counts for no address", async () => {
    const settings = {
      maxStreamAgeMs: 10_000,
      maxConnectionsPerAddress: 1,
      maxConnectsPerMinutePerAddress: 1,
    };
    const hub = new FakeHub({ settings });
    const stream = await hub.connect({ relay, address: "198.51.100.1" });
    await hub.connect({ relay: { name: "europe/2", life: "b" }, address: "198.51.100.1" });
    await hub.clock.advance(20_000);
    expect([stream.isEnding, hub.hub.lifeOf("europe/1")]).toEqual([false, "a"]);
  });

  it("is known until it leaves", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect({ relay });
    expect([hub.hub.lifeOf("europe/1"), hub.hub.lifeOf("europe/2")]).toEqual(["a", null]);
    stream.leave();
    await hub.clock.settle();
    expect(hub.hub.lifeOf("europe/1")).toBeNull();
    expect(hub.relaysLeft).toEqual([{ ...relay, reason: "client_left" }]);
  });

  it("ends the stream of its earlier life, and of an earlier stream of its own", async () => {
    const hub = new FakeHub();
    const streams = [
      await hub.connect({ relay }),
      await hub.connect({ relay }),
      await hub.connect({ relay: { name: "europe/1", life: "b" } }),
    ];
    expect(streams.map(({ isEnded }) => isEnded)).toEqual([true, true, false]);
    expect(dataOf(streams[1]?.seen.events.at(-1))).toMatchObject({ reason: "replaced" });
    expect([hub.hub.lifeOf("europe/1"), hub.relaysLeft.map(({ reason }) => reason)]).toEqual([
      "b",
      ["replaced", "replaced"],
    ]);
  });

  it("takes the place of its earlier life even if two lives connect at the same moment", async () => {
    const hub = new FakeHub();
    const asked = ["a", "b"].map((life) => hub.ask({ relay: { name: "europe/1", life } }));
    await Promise.all(asked.map(({ entered }) => entered));
    await hub.clock.settle();
    expect([asked.map(({ stream }) => stream.isEnded), hub.hub.health().activeConnections]).toEqual([
      [true, false],
      1,
    ]);
  });

  it("has a place among 50, and none in a channel that is draining", async () => {
    const hub = new FakeHub();
    for (let number = 1; number <= 50; number++) {
      await hub.connect({ relay: { name: `europe/${number}`, life: "a" } });
    }
    await expect(hub.connect({ relay: { name: "asia/1", life: "a" } })).rejects.toMatchObject({
      code: "limit",
    });
    // A next life takes the place of the one before.
    await hub.connect({ relay: { name: "europe/7", life: "b" } });
    hub.hub.drain(hub.clock.now() + 60_000);
    await expect(hub.connect({ relay })).rejects.toMatchObject({ code: "draining" });
  });
});
