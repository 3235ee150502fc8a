import { describe, expect, it } from "vitest";

import { sizeOf } from "../../../../src/hub/log/event-log.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";
import { dataOf } from "../../../support/hub/frames.ts";
import { newEvent, newEvents } from "../../../support/hub/new-event.ts";

const WIDE = { maxEvents: 100_000, maxAgeMs: 86_400_000, maxBytes: 1024 ** 3 };

/** How long a log may be over a bound. */
const WITHIN_MS = 10_000;

describe("a log over a bound", () => {
  it.each([
    ["events", { ...WIDE, maxEvents: 5 }],
    ["bytes", { ...WIDE, maxBytes: 5 * sizeOf(newEvent()) }],
  ])("of %s is trimmed within 10 s, exactly to the bound", async (_, retention) => {
    const hub = new FakeHub({ settings: { retention } });
    await hub.publish(5);
    await hub.clock.advance(60_000);
    expect([hub.log.oldest, hub.rings]).toEqual([1, 0]);
    await hub.publish(3);
    await hub.clock.advance(WITHIN_MS);
    expect([hub.log.oldest, hub.log.head]).toEqual([4, 8]);
    expect(hub.hub.counters.trimmed).toBe(3);
    expect(hub.hub.health().oldestEventId).toBe(4);
  });

  it("of age is trimmed within 10 s after its events are too old, without any request", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxAgeMs: 60_000 } } });
    await hub.publish(3);
    await hub.clock.advance(30_000);
    await hub.publish(2);
    await hub.clock.advance(30_000);
    expect(hub.log.oldest).toBe(1);
    await hub.clock.advance(WITHIN_MS);
    expect(hub.log.oldest).toBe(4);
    await hub.clock.advance(30_000);
    expect([hub.log.oldest, hub.log.head]).toEqual([6, 5]);
    expect(hub.alarmAt).toBeNull();
  });

  it.each([30_000, 300_000])(
    "of age is trimmed within 10 s though clients keep the alarm busy, with heartbeats of %d ms",
    async (heartbeatIntervalMs) => {
      const retention = { ...WIDE, maxAgeMs: 60_000 };
      const hub = new FakeHub({ settings: { heartbeatIntervalMs, retention } });
      await hub.connect();
      await hub.clock.advance(1_000);
      await hub.publish(3);
      await hub.clock.advance(60_000 + WITHIN_MS);
      expect(hub.log.oldest).toBe(4);
    },
  );

  it("of age is trimmed within 10 s even if a drain has set a later alarm", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxAgeMs: 60_000 } } });
    hub.hub.drain(hub.clock.now() + 3_600_000);
    await hub.publish(3);
    await hub.clock.advance(60_000 + WITHIN_MS);
    expect(hub.log.oldest).toBe(4);
  });

  it("from an earlier life of the object is trimmed after the next publish", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    hub.log.append(newEvents(10), hub.clock.now(), 1);
    hub.restart();
    await hub.publish(1);
    await hub.clock.advance(WITHIN_MS);
    expect([hub.log.oldest, hub.log.head]).toEqual([7, 11]);
  });

  it("by far is trimmed by publishes, so that a flood exceeds it only by a margin", async () => {
    const event = newEvent({ data: JSON.stringify("x".repeat(10_000)) });
    const maxBytes = 1024 * 1024;
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxBytes } } });
    const kept = (): number =>
      hub.log.stamp(hub.log.head).endOffset - hub.log.stamp(hub.log.oldest - 1).endOffset;
    for (let published = 0; published < 300; published++) {
      await hub.publish(Array.from({ length: 100 }, () => event));
      expect(kept()).toBeLessThanOrEqual(maxBytes + 6 * 1024 * 1024);
      expect(kept()).toBeGreaterThan(published === 0 ? 0 : maxBytes);
    }
    expect(hub.hub.counters.trimmed).toBe(hub.log.oldest - 1);
    await hub.clock.advance(WITHIN_MS);
    expect(kept()).toBeLessThanOrEqual(maxBytes);
    expect(hub.hub.counters.trimmed).toBe(hub.log.oldest - 1);
  });

  it("by far is trimmed by publishes of the smallest events too", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    for (let published = 0; published < 30; published++) {
      await hub.publish(1_000);
      expect(hub.log.head - hub.log.oldest + 1).toBeLessThanOrEqual(11_005);
    }
  });

  it("does not make a publish fail if it cannot be trimmed", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    await hub.publish(10_100);
    hub.log.trim = () => {
      throw new Error("the disk is gone");
    };
    expect(await hub.publish(1)).toMatchObject([{ seq: 10_101 }]);
    expect(hub.logged("trim_failed")).toHaveLength(1);
  });

  it("is not trimmed by a publish if it is only a little over", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    await hub.publish(100);
    expect(hub.log.oldest).toBe(1);
  });

  it("by far is trimmed in steps, and other work runs between them", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    await hub.publish(10_000);
    const steps: number[] = [];
    const turns: number[] = [];
    const trim = hub.log.trim.bind(hub.log);
    hub.log.trim = (through) => {
      steps.push(through - hub.log.oldest + 1);
      trim(through);
      // Other work that is ready runs before the next step.
      void hub.clock.turn().then(() => turns.push(steps.length));
    };
    await hub.clock.advance(WITHIN_MS);
    expect(turns).toEqual(steps.map((_, index) => index + 1));
    expect(hub.log.oldest).toBe(9_996);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2_000);
    expect(steps.reduce((sum, step) => sum + step, 0)).toBe(9_995);
    expect(hub.hub.counters.trimmed).toBe(9_995);
  });

  it("assigns new ids even if no event is kept", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxBytes: 1_024 } } });
    await hub.publish([newEvent({ data: JSON.stringify("x".repeat(5_000)) })]);
    await hub.clock.advance(WITHIN_MS);
    expect(hub.hub.health()).toMatchObject({ lastEventId: 1, oldestEventId: null });
    hub.restart();
    expect(await hub.publish(1)).toMatchObject([{ seq: 2 }]);
  });

  it("sets no alarm again if nothing is left to trim", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxAgeMs: 10_000, maxEvents: 2 } } });
    await hub.publish(5);
    await hub.clock.advance(60_000);
    expect([hub.log.oldest, hub.alarmAt]).toEqual([6, null]);
  });

  it("is trimmed at the next alarm if a step fails", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxEvents: 5 } } });
    await hub.publish(10);
    const trim = hub.log.trim.bind(hub.log);
    hub.log.trim = () => {
      throw new Error("the disk is gone");
    };
    await hub.clock.advance(WITHIN_MS);
    expect(hub.logged("tick_failed").length).toBeGreaterThan(0);
    hub.log.trim = trim;
    await hub.clock.advance(WITHIN_MS);
    expect(hub.log.oldest).toBe(6);
  });
});

describe("an event that is too old, but not trimmed yet", () => {
  const retention = { ...WIDE, maxAgeMs: 60_000 };

  it("is not delivered to any client", async () => {
    const hub = new FakeHub({ settings: { retention } });
    await hub.publish(3);
    await hub.clock.advance(50_000);
    await hub.publish(2);
    await hub.clock.advance(10_001);
    expect(hub.log.oldest).toBe(1);
    const [earliest, resumed] = [
      await hub.connect({ since: "earliest" }),
      await hub.connect({ lastEventId: 1 }),
    ];
    expect([earliest.ids, resumed.ids]).toEqual([
      [4, 5],
      [4, 5],
    ]);
    expect(dataOf(resumed.seen.events[1])).toMatchObject({ reason: "expired", oldest_id: "4" });
    expect(hub.hub.health().oldestEventId).toBe(4);
  });

  it("is reported as a gap to a slow client", async () => {
    const hub = new FakeHub({ settings: { retention, connectionTimeoutMs: 600_000 } });
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    await hub.publish(3);
    await hub.clock.advance(50_000);
    await hub.publish(2);
    await hub.clock.advance(10_001);
    stream.resume();
    await hub.clock.settle();
    expect(stream.seen.events.map(({ type, id }) => [type, id])).toEqual([
      ["connected", "0"],
      ["tick", "1"],
      ["gap", "4"],
      ["tick", "5"],
      ["tick", "6"],
    ]);
    expect(hub.hub.counters.gaps).toBe(1);
  });

  it("no longer has its key", async () => {
    const hub = new FakeHub({ settings: { retention } });
    await hub.publish([newEvent({ key: "a" })]);
    await hub.clock.advance(60_000);
    expect(await hub.publish([newEvent({ key: "a" })])).toMatchObject([{ seq: 1, duplicate: true }]);
    await hub.clock.advance(1);
    expect(await hub.publish([newEvent({ key: "a" })])).toMatchObject([{ seq: 2, duplicate: false }]);
  });

  it("never makes a gap name an id that is not durable", async () => {
    const hub = new FakeHub({ settings: { retention: { ...WIDE, maxAgeMs: 1_000 } } });
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    await hub.publish(3);
    hub.log.hold();
    void hub.hub.publish(newEvents(3), null);
    await hub.clock.advance(2_000);
    stream.resume();
    await hub.clock.settle();
    const gap = stream.seen.events.at(-1);
    expect([gap?.type, gap?.id]).toEqual(["gap", "4"]);
    expect(dataOf(gap)).toMatchObject({ requested_id: "1", oldest_id: null, latest_id: "4" });
    expect(hub.hub.health()).toMatchObject({ lastEventId: 4, oldestEventId: null });
  });
});
