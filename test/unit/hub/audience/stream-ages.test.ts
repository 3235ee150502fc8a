import { describe, expect, it } from "vitest";

import { StreamAges } from "../../../../src/hub/audience/stream-ages.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";
import { dataOf } from "../../../support/hub/frames.ts";

const AGE_MS = 100_000;

describe("the age at which a stream ends", () => {
  it("is 80 to 100 % of the maximum", () => {
    expect(StreamAges.expiry(1_000, AGE_MS, () => 0)).toBe(101_000);
    expect(StreamAges.expiry(1_000, AGE_MS, () => 0.999)).toBeGreaterThanOrEqual(81_000);
    expect(StreamAges.expiry(1_000, AGE_MS, () => 0.5)).toBeLessThan(101_000);
  });

  it("is never reached with a maximum of 0", () => {
    expect(StreamAges.expiry(1_000, 0, () => 0.5)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("a stream that is too old", () => {
  it("gets a close frame, ends, and resumes without loss", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: AGE_MS }, random: () => 0 });
    const stream = await hub.connect();
    await hub.publish(2);
    await hub.clock.advance(AGE_MS - 1);
    expect(stream.isEnding).toBe(false);
    await hub.clock.advance(1);
    expect(stream.isEnded).toBe(true);
    const close = stream.seen.events.at(-1);
    expect(close).toMatchObject({ type: "close", id: undefined });
    expect(dataOf(close)).toEqual({ reason: "max_age", retry_after_ms: 100 });
    expect(stream.seen.retries.at(-1)).toBe(100);
    expect(hub.hub.counters.disconnects).toEqual({ max_age: 1 });
    await hub.publish(2);
    const again = await hub.connect({ lastEventId: stream.seen.lastEventId });
    expect([...stream.ids, ...again.ids]).toEqual([1, 2, 3, 4]);
  });

  it("ends at its own time, spread over the last fifth of the maximum", async () => {
    const jitter = [0, 0.25, 0.5, 0.75, 0.999];
    const hub = new FakeHub({ settings: { maxStreamAgeMs: AGE_MS }, random: () => jitter.shift() ?? 0 });
    const streams = [];
    for (let count = 0; count < 5; count++) {
      streams.push(await hub.connect());
    }
    const start = hub.clock.now();
    const ends = streams.map(() => 0);
    while (hub.clock.now() < start + AGE_MS) {
      await hub.clock.advance(250);
      for (const [index, stream] of streams.entries()) {
        if (stream.isEnded && ends[index] === 0) {
          ends[index] = hub.clock.now() - start;
        }
      }
    }
    expect(ends[0]).toBe(100_000);
    expect(ends.slice(1)).toEqual([95_000, 90_000, 85_000, expect.any(Number)]);
    expect(ends[4]).toBeGreaterThanOrEqual(80_000);
    expect(ends[4]).toBeLessThanOrEqual(80_500);
  });

  it("ends in time even if a younger stream ends earlier", async () => {
    const jitter = [0, 1];
    const hub = new FakeHub({ settings: { maxStreamAgeMs: 40_000 }, random: () => jitter.shift() ?? 0 });
    const first = await hub.connect();
    await hub.clock.advance(5_000);
    const second = await hub.connect();
    await hub.clock.advance(32_000);
    expect([first.isEnded, second.isEnded]).toEqual([false, true]);
    await hub.clock.advance(3_000);
    expect(first.isEnded).toBe(true);
  });

  it("ends in time even if another stream has just ended", async () => {
    const jitter = [0.005, 0];
    const hub = new FakeHub({ settings: { maxStreamAgeMs: AGE_MS }, random: () => jitter.shift() ?? 0 });
    const [first, second] = [await hub.connect(), await hub.connect()];
    await hub.clock.advance(AGE_MS - 100);
    expect([first.isEnded, second.isEnded]).toEqual([true, false]);
    await hub.clock.advance(100);
    expect(second.isEnded).toBe(true);
  });

  it("ends with all others if the storage cannot be read, as in an instance that a deploy left behind", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: 30 * AGE_MS } });
    const streams = [await hub.connect(), await hub.connect()];
    await hub.publish(1);
    hub.log.check = () => {
      throw new Error("this storage belongs to a newer instance");
    };
    await hub.clock.advance(60_000);
    expect(streams.map(({ isEnded }) => isEnded)).toEqual([true, true]);
    expect(streams.map(({ seen }) => dataOf(seen.events.at(-1))["reason"])).toEqual(["max_age", "max_age"]);
  });

  it("keeps its slot if it does not read and too many streams linger, and is ended later", async () => {
    const hub = new FakeHub({
      settings: { maxStreamAgeMs: AGE_MS, maxConnections: 1, connectionTimeoutMs: 10 * AGE_MS },
      random: () => 0,
    });
    const lingering = await hub.connect();
    lingering.stall();
    await hub.publish(1);
    await hub.clock.advance(AGE_MS);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 0, lingeringConnections: 1 });
    const stalled = await hub.connect();
    stalled.stall();
    await hub.publish(1);
    await hub.clock.advance(2 * AGE_MS);
    expect([stalled.isEnding, hub.hub.health().activeConnections]).toEqual([false, 1]);
    lingering.leave();
    await hub.clock.advance(2_000);
    expect([stalled.isEnding, hub.hub.health().lingeringConnections]).toEqual([true, 1]);
  });

  it("ends by a timer and not by the alarm, which an instance that a deploy left behind does not have", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: AGE_MS } });
    const stream = await hub.connect();
    hub.hub.tick = () => Promise.resolve();
    await hub.clock.advance(AGE_MS);
    expect(stream.isEnded).toBe(true);
  });

  it("does not occur with a maximum of 0", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    await hub.clock.advance(86_400_000);
    expect(stream.isEnding).toBe(false);
  });
});

describe("the timer", () => {
  it("serves all clients, and is cancelled when the last client leaves", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: AGE_MS } });
    const before = hub.clock.timers;
    const streams = [await hub.connect(), await hub.connect(), await hub.connect()];
    expect(hub.clock.timers - before).toBeLessThanOrEqual(2);
    streams.forEach((stream) => stream.leave());
    await hub.clock.settle();
    await hub.clock.advance(40_000);
    expect(hub.clock.timers).toBe(0);
  });
});
