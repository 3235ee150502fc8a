import { describe, expect, it } from "vitest";

import { HubError } from "../../../src/hub/errors.ts";
import { FakeHub } from "../../support/hub/fake-hub.ts";
import { dataOf } from "../../support/hub/frames.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { newEvent, newEvents } from "../../support/hub/new-event.ts";

describe("publish", () => {
  it("stores nothing under the key of an event outside the grant, and does not count this as a storage failure", async () => {
    const hub = new FakeHub();
    await hub.publish([newEvent({ key: "k", fields: { project_id: "8" } })]);
    const batch = [
      newEvent({ fields: { project_id: "7" } }),
      newEvent({ key: "k", fields: { project_id: "7" } }),
    ];
    await expect(hub.hub.publish(batch, null, { fields: { project_id: ["7"] } })).rejects.toMatchObject({
      code: "key_taken",
      errors: [{ index: 1, field: "key" }],
    });
    expect(hub.hub.health()).toMatchObject({ status: "healthy", lastEventId: 1 });
    expect(hub.hub.counters.publishRejections).toEqual({ key_taken: 1 });
    expect(hub.logged("append_failed")).toEqual([]);
    expect(await hub.publish(1)).toMatchObject([{ seq: 2 }]);
  });

  it("returns the ids, and delivers the events unchanged and in order", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    const receipts = await hub.publish([
      newEvent({ type: "a", data: '{"n":1}' }),
      newEvent({ type: "b", data: '"€"' }),
    ]);
    expect(receipts).toEqual([
      { seq: 1, type: "a", duplicate: false, conflict: false },
      { seq: 2, type: "b", duplicate: false, conflict: false },
    ]);
    expect(stream.seen.events.slice(1)).toEqual([
      { type: "a", id: "1", data: '{"n":1}' },
      { type: "b", id: "2", data: '"€"' },
    ]);
  });

  it("neither resolves nor delivers before the events are durable", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    hub.log.hold();
    const publishing = outcomeOf(hub.hub.publish(newEvents(3), null));
    await hub.clock.advance(10_000);
    expect(publishing.state).toBe("waiting");
    expect(stream.ids).toEqual([]);
    expect(hub.hub.health()).toMatchObject({ lastEventId: 0, oldestEventId: null });
    hub.log.release();
    await hub.clock.settle();
    expect(publishing.state).toBe("done");
    expect(stream.ids).toEqual([1, 2, 3]);
    expect(hub.hub.health()).toMatchObject({ lastEventId: 3, oldestEventId: 1 });
  });

  it("never shows an event that is not durable: not in a replay, not to a new client, not as a cursor", async () => {
    const hub = new FakeHub();
    await hub.publish(2);
    const behind = await hub.connect({ lastEventId: 0 });
    behind.stall();
    hub.log.hold();
    void hub.hub.publish(newEvents(5), null);
    await hub.clock.settle();
    behind.resume();
    const [live, earliest, resumed, unknown] = [
      await hub.connect(),
      await hub.connect({ since: "earliest" }),
      await hub.connect({ lastEventId: 1 }),
      await hub.connect({ lastEventId: 5 }),
    ];
    await hub.clock.advance(1_000);
    expect([behind.ids, live.ids, earliest.ids, resumed.ids]).toEqual([[1, 2], [], [1, 2], [2]]);
    expect(dataOf(live.seen.events[0])).toMatchObject({ last_event_id: "2" });
    expect(dataOf(unknown.seen.events[1])).toMatchObject({ latest_id: "2", reason: "unknown" });
    hub.log.release();
    await hub.clock.settle();
    for (const stream of [behind, earliest]) {
      expect(stream.ids).toEqual([1, 2, 3, 4, 5, 6, 7]);
    }
    expect(live.ids).toEqual([3, 4, 5, 6, 7]);
  });

  it("delivers only durable events if publishes overlap", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    hub.log.hold();
    const publishing = [1, 2, 3].map(() => outcomeOf(hub.hub.publish(newEvents(2), null)));
    const answered = (): number => publishing.filter(({ state }) => state === "done").length;
    await hub.clock.settle();
    hub.log.releaseOldest();
    await hub.clock.settle();
    expect([answered(), stream.ids]).toEqual([1, [1, 2]]);
    hub.log.releaseOldest();
    await hub.clock.settle();
    expect([answered(), stream.ids]).toEqual([2, [1, 2, 3, 4]]);
    hub.log.release();
    await hub.clock.settle();
    expect([answered(), stream.ids]).toEqual([3, [1, 2, 3, 4, 5, 6]]);
  });

  it("answers a duplicate only when the first event is durable, and sends nothing", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    hub.log.hold();
    const publishing = [1, 2].map(() => outcomeOf(hub.hub.publish([newEvent({ key: "a" })], null)));
    await hub.clock.settle();
    expect(publishing.map(({ state }) => state)).toEqual(["waiting", "waiting"]);
    hub.log.release();
    await hub.clock.settle();
    expect(publishing.map(({ value }) => value)).toMatchObject([
      [{ seq: 1, duplicate: false }],
      [{ seq: 1, duplicate: true }],
    ]);
    expect(stream.ids).toEqual([1]);
  });

  it("delivers the new events of a batch with duplicates, without a hole in the ids", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    const keys = ["a", "a", null, "b", "a", "b"];
    await hub.publish(keys.map((key, index) => newEvent({ key, data: String(index) })));
    expect(stream.seen.events.slice(1).map(({ id, data }) => [id, data])).toEqual([
      ["1", "0"],
      ["2", "2"],
      ["3", "3"],
    ]);
    expect(hub.hub.counters).toMatchObject({ published: 3, duplicates: 3 });
  });

  it("is refused if the storage is full, which makes the hub degraded until a publish succeeds", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    hub.log.appendError = new HubError("storage_full", "The storage is full.");
    await expect(hub.hub.publish(newEvents(1), null)).rejects.toMatchObject({ code: "storage_full" });
    expect(hub.hub.health()).toMatchObject({ status: "degraded", reasons: ["storage_failed"] });
    expect(hub.logged("append_failed")).toHaveLength(1);
    hub.log.appendError = null;
    await hub.publish(1);
    expect(hub.hub.health()).toMatchObject({ status: "healthy", reasons: [] });
    expect(stream.ids).toEqual([1]);
  });

  it("rejects and shows nothing if the storage breaks before the events are durable", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    hub.log.hold();
    const publishing = outcomeOf(hub.hub.publish(newEvents(1), null));
    await hub.clock.settle();
    hub.log.breakSync();
    await hub.clock.advance(60_000);
    expect(publishing.state).toContain("broken");
    expect(stream.ids).toEqual([]);
  });

  it("resolves even if the log cannot be read for trimming, because the events are durable", async () => {
    const hub = new FakeHub({ settings: { retention: { maxEvents: 2, maxAgeMs: 1_000, maxBytes: 1e9 } } });
    const stream = await hub.connect();
    await hub.publish(5);
    const stamp = hub.log.stamp.bind(hub.log);
    hub.log.stamp = (seq) => {
      if (seq < hub.log.head) {
        throw new Error("the disk is gone");
      }
      return stamp(seq);
    };
    await expect(hub.publish(1)).resolves.toMatchObject([{ seq: 6 }]);
    expect(stream.ids.at(-1)).toBe(6);
  });

  it("is never stopped by a client that throws, fails or stalls", async () => {
    const hub = new FakeHub();
    const [failing, stalling, leaving, fine] = [
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
    ];
    failing.break();
    stalling.stall();
    leaving.leave();
    for (let count = 0; count < 3; count++) {
      await hub.publish(1);
      await hub.clock.advance(200);
    }
    expect(fine.ids).toEqual([1, 2, 3]);
    expect(hub.hub.health().activeConnections).toBe(2);
  });

  it("works without clients, and leaves no timer", async () => {
    const hub = new FakeHub();
    await hub.publish(1_000);
    expect(hub.hub.health()).toMatchObject({ lastEventId: 1_000, oldestEventId: 1 });
    expect(hub.clock.timers).toBe(hub.alarmAt === null ? 0 : 1);
  });
});

describe("the filter of a client", () => {
  it("applies to live events and to replay", async () => {
    const hub = new FakeHub();
    const mix = [
      newEvent({ type: "a", fields: { project_id: "1" } }),
      newEvent({ type: "a", fields: { project_id: "2" } }),
      newEvent({ type: "b", fields: { project_id: "1" } }),
      newEvent({ type: "a" }),
    ];
    await hub.publish(mix);
    hub.restart();
    await hub.publish(mix);
    const stream = await hub.connect({
      terms: { types: ["a"], fields: { project_id: ["1"] } },
      since: "earliest",
    });
    await hub.publish(mix);
    expect(stream.ids).toEqual([1, 5, 9]);
  });

  it("hides no frame of the service", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 1_000 } });
    const stream = await hub.connect({ terms: { types: ["none"] }, lastEventId: "x" });
    await hub.clock.advance(1_500);
    hub.hub.drain(hub.clock.now() + 1_000);
    await hub.clock.settle();
    expect(stream.seen.events.map(({ type }) => type)).toEqual(["connected", "gap", "close"]);
    expect(stream.seen.comments).toEqual(["heartbeat"]);
  });
});

describe("the counters", () => {
  it("count the work of the hub", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 1_000 } });
    const stream = await hub.connect();
    await hub.connect({ terms: { types: ["other"] } });
    await hub.connect({ lastEventId: "77" });
    await hub.publish([newEvent({ key: "a" }), newEvent({ key: "a" }), newEvent()]);
    stream.leave();
    await hub.clock.advance(1_500);
    expect(hub.hub.counters).toMatchObject({
      connects: 3,
      reconnects: 1,
      published: 2,
      duplicates: 1,
      deliveries: 4,
      pages: 2,
      sweeps: 1,
      heartbeats: 2,
      gaps: 1,
      trimmed: 0,
      readFailures: 0,
      rejections: {},
      publishRejections: {},
      disconnects: { client_left: 1 },
    });
  });

  it("measure the time from storing an event until a client accepts it, and count each page once", async () => {
    const hub = new FakeHub();
    const [quick, slow] = [await hub.connect(), await hub.connect()];
    slow.takeAfter(hub.clock, 300);
    await hub.publish(2);
    await hub.clock.advance(1_000);
    const { latency } = hub.hub.counters;
    expect(quick.ids).toEqual(slow.ids);
    expect(latency.count).toBe(2);
    expect(latency.sumSeconds).toBeCloseTo(0.3);
    expect(latency.buckets).toEqual([1, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
  });
});

describe("the publishes of a token", () => {
  const LIMITED = { settings: { maxPublishesPerMinutePerToken: 3 } };

  it("are limited exactly, by requests and not by events, and a refused one stores nothing", async () => {
    const hub = new FakeHub(LIMITED);
    const stream = await hub.connect();
    await hub.publish(1_000, "a");
    await hub.clock.advance(20_500);
    const outcomes = [1, 2, 3, 4].map(() => outcomeOf(hub.hub.publish(newEvents(2), "a")));
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done", "rate_limited", "rate_limited"]);
    expect([hub.log.head, stream.ids.length]).toEqual([1_004, 1_004]);
    await expect(hub.publish(1, "a")).rejects.toMatchObject({ retryAfterSeconds: 40 });
  });

  it("are allowed again when the minute is over", async () => {
    const hub = new FakeHub(LIMITED);
    for (let minute = 0; minute < 3; minute++) {
      for (let count = 0; count < 3; count++) {
        await hub.publish(1, "a");
      }
      await expect(hub.publish(1, "a")).rejects.toMatchObject({ code: "rate_limited" });
      await hub.clock.advance(60_000);
    }
    expect(hub.log.head).toBe(9);
  });

  it("are counted separately for each token, and not at all without a token", async () => {
    const hub = new FakeHub(LIMITED);
    for (const publisher of ["a", "b", null, null, "a", "b", null, null, "a", "b"]) {
      await hub.publish(1, publisher);
    }
    await expect(hub.publish(1, "a")).rejects.toMatchObject({ code: "rate_limited" });
    await expect(hub.publish(1, "b")).rejects.toMatchObject({ code: "rate_limited" });
    await hub.publish(1);
  });

  it("count even if they are duplicates or fail, because the limit is on work", async () => {
    const hub = new FakeHub(LIMITED);
    await hub.publish([newEvent({ key: "k" })], "a");
    await hub.publish([newEvent({ key: "k" })], "a");
    hub.log.appendError = new Error("the disk is gone");
    await expect(hub.publish(1, "a")).rejects.toThrow("the disk is gone");
    await expect(hub.publish(1, "a")).rejects.toMatchObject({ code: "rate_limited" });
  });

  it("are counted and summed up in the log if they are refused, without the token", async () => {
    const hub = new FakeHub(LIMITED);
    for (let count = 0; count < 8; count++) {
      await hub.publish(1, "very-secret").catch(() => undefined);
    }
    await hub.clock.advance(5_000);
    expect(hub.hub.counters).toMatchObject({ publishRejections: { rate_limited: 5 }, rejections: {} });
    expect(hub.logged("publish_refused").map(({ level, fields }) => [level, fields])).toEqual([
      ["warn", { code: "rate_limited", count: 1 }],
      ["warn", { code: "rate_limited", count: 4 }],
    ]);
    expect(JSON.stringify(hub.lines)).not.toContain("very-secret");
    expect(hub.hub.health().status).toBe("healthy");
  });

  it("are refused with shutting_down once the streams are closed, even beyond the limit", async () => {
    const hub = new FakeHub(LIMITED);
    await hub.stop();
    for (let count = 0; count < 5; count++) {
      await expect(hub.publish(1, "a")).rejects.toMatchObject({ code: "shutting_down" });
    }
    expect(hub.hub.counters.publishRejections).toEqual({ shutting_down: 5 });
  });
});

describe("the list of clients", () => {
  it("shows the state of each client", async () => {
    const hub = new FakeHub();
    await hub.publish(5);
    const connectedAt = hub.clock.now();
    const stream = await hub.connect({ lastEventId: 2, terms: { types: ["tick"] } });
    await hub.clock.advance(1_000);
    stream.stall();
    await hub.publish(3);
    const stalledAt = hub.clock.now();
    await hub.clock.advance(1_000);
    await hub.publish(2);
    const [client, ...others] = hub.hub.clients();
    expect(others).toEqual([]);
    expect(client).toMatchObject({
      id: dataOf(stream.seen.events[0])["client_id"],
      connectedAt,
      lastEventAt: connectedAt,
      writtenAt: stalledAt,
      pendingSince: stalledAt,
      resumedFrom: "2",
      tokenEndsAt: null,
      terms: { types: ["tick"] },
      cursor: 8,
      lag: 2,
      eventsSent: 3,
    });
  });

  it("repeats at most 64 characters of a client's id", async () => {
    const hub = new FakeHub();
    await hub.connect({ lastEventId: "9".repeat(10_000) });
    expect(hub.hub.clients()[0]?.resumedFrom?.length).toBeLessThanOrEqual(64);
  });
});
