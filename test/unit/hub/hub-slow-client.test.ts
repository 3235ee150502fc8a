import { describe, expect, it } from "vitest";

import { FakeHub } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { dataOf } from "../../support/hub/frames.ts";

/** A stalled client with a pending write. */
async function stalledIn(hub: FakeHub): Promise<FakeStream> {
  const stream = await hub.connect();
  stream.stall();
  await hub.publish(1);
  return stream;
}

describe("a client that does not accept its bytes", () => {
  it("is dropped at its deadline or at most one step of the alarm later", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    await hub.clock.advance(59_999);
    expect(hub.hub.health().activeConnections).toBe(1);
    await hub.clock.advance(2_001);
    expect(hub.hub.health().activeConnections).toBe(0);
    expect(hub.hub.counters.disconnects).toEqual({ slow_client: 1 });
    expect(hub.logged("slow_client").map(({ level }) => level)).toEqual(["warn"]);
    expect(hub.logged("client_disconnected").map(({ fields }) => fields["reason"])).toEqual(["slow_client"]);
    expect(stream.isEnding).toBe(true);
  });

  it.each([1, 5, 60, 600])(
    "is dropped even if nothing else happens, with a timeout of %d s",
    async (seconds) => {
      const hub = new FakeHub({ settings: { connectionTimeoutMs: seconds * 1_000 } });
      await stalledIn(hub);
      await hub.clock.advance(seconds * 1_000 - 1);
      expect(hub.hub.health().activeConnections).toBe(1);
      await hub.clock.advance(2_001);
      expect(hub.hub.health().activeConnections).toBe(0);
    },
  );

  it("is dropped if it does not accept its first bytes", async () => {
    const hub = new FakeHub();
    const { stream, entered } = hub.ask();
    stream.stall();
    await entered;
    await hub.clock.advance(62_000);
    expect(hub.hub.health().activeConnections).toBe(0);
  });

  it("is dropped if it does not accept a heartbeat", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.stall();
    await hub.clock.advance(94_000);
    expect(hub.hub.health().activeConnections).toBe(0);
    expect(hub.hub.counters.disconnects).toEqual({ slow_client: 1 });
  });

  it("costs only a few rings of the alarm", async () => {
    const hub = new FakeHub();
    await stalledIn(hub);
    await hub.clock.advance(59_000);
    expect(hub.rings).toBeLessThan(5);
  });

  it("gets only its pending write, the error and the close while it stalls", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    const { length } = stream.writes;
    for (let count = 0; count < 70; count++) {
      await hub.publish(10);
      await hub.clock.advance(1_000);
    }
    expect(stream.writes).toHaveLength(length + 1);
    await hub.publish(10);
    await hub.clock.advance(100_000);
    expect(stream.writes).toHaveLength(length + 1);
  });

  it("gets the reason as soon as it reads, and then its stream ends", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    await hub.clock.advance(62_000);
    expect(stream.isEnded).toBe(false);
    stream.resume();
    await hub.clock.settle();
    const [, , error, close, ...others] = stream.seen.events;
    expect(others).toEqual([]);
    expect([error?.type, error?.id, close?.type, close?.id]).toEqual([
      "error",
      undefined,
      "close",
      undefined,
    ]);
    expect(dataOf(error)).toEqual({
      error_type: "slow_client",
      message: expect.any(String),
      retryable: true,
    });
    const { reason, retry_after_ms: retryAfterMs } = dataOf(close);
    expect(reason).toBe("slow_client");
    expect(retryAfterMs).toBeGreaterThanOrEqual(100);
    expect(retryAfterMs).toBeLessThanOrEqual(1_000);
    expect(stream.seen.retries.at(-1)).toBe(retryAfterMs);
    expect(stream.isEnded).toBe(true);
  });

  it("can resume with its last id without loss", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    await hub.publish(20);
    await hub.clock.advance(62_000);
    stream.resume();
    await hub.clock.settle();
    const again = await hub.connect({ lastEventId: stream.seen.lastEventId });
    expect([...stream.ids, ...again.ids]).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  });

  it("keeps its slot if it accepts each write late but in time", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.takeAfter(hub.clock, 50_000);
    for (let count = 0; count < 300; count++) {
      await hub.publish(1);
      await hub.clock.advance(1_000);
    }
    expect(hub.hub.health().activeConnections).toBe(1);
    await hub.clock.advance(200_000);
    expect(stream.ids).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
  });

  it("is not slow while it has nothing to accept", async () => {
    const hub = new FakeHub({ settings: { connectionTimeoutMs: 5_000, heartbeatIntervalMs: 300_000 } });
    const stream = await hub.connect();
    await hub.clock.advance(250_000);
    stream.stall();
    await hub.clock.advance(20_000);
    await hub.publish(1);
    await hub.clock.advance(4_900);
    expect(hub.hub.health().activeConnections).toBe(1);
    stream.resume();
    await hub.clock.advance(10_000);
    expect(hub.hub.health().activeConnections).toBe(1);
  });

  it("gets its next heartbeat in time after it reads again, however late that is", async () => {
    const hub = new FakeHub({ settings: { connectionTimeoutMs: 600_000 } });
    const stream = await stalledIn(hub);
    await hub.clock.advance(100_000);
    stream.resume();
    await hub.clock.advance(37_500);
    expect(stream.seen.comments.length).toBeGreaterThanOrEqual(1);
  });

  it("does not delay the other clients when it leaves", async () => {
    const hub = new FakeHub();
    const [stalled, other] = [await hub.connect(), await hub.connect()];
    stalled.stall();
    await hub.publish(1);
    await hub.publish(1);
    stalled.leave();
    await hub.clock.settle();
    expect(other.ids).toEqual([1, 2]);
  });

  it("delays no other client", async () => {
    const hub = new FakeHub();
    await stalledIn(hub);
    await hub.clock.advance(200);
    const other = await hub.connect();
    for (let count = 0; count < 100; count++) {
      await hub.publish(1);
      expect(other.ids).toHaveLength(count + 1);
      await hub.clock.advance(10);
    }
  });
});

describe("an ended stream whose peer does not read", () => {
  it("lingers, and is counted until the peer reads", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    await hub.clock.advance(62_000);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 0, lingeringConnections: 1 });
    await hub.clock.advance(1_000_000);
    expect(hub.hub.health().lingeringConnections).toBe(1);
    stream.resume();
    await hub.clock.settle();
    expect(hub.hub.health().lingeringConnections).toBe(0);
  });

  it("is counted until the peer leaves", async () => {
    const hub = new FakeHub();
    const stream = await stalledIn(hub);
    await hub.clock.advance(62_000);
    stream.leave();
    await hub.clock.settle();
    expect(hub.hub.health().lingeringConnections).toBe(0);
    expect(hub.hub.counters.disconnects).toEqual({ slow_client: 1 });
  });

  it("needs no alarm and no timer", async () => {
    const hub = new FakeHub({ settings: { retention: { maxEvents: 10, maxAgeMs: 1_000, maxBytes: 1e9 } } });
    await stalledIn(hub);
    await hub.clock.advance(120_000);
    expect([hub.alarmAt, hub.clock.timers]).toEqual([null, 0]);
  });

  it("holds no slot, unless as many streams as there are slots linger already", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 3 } });
    const streams: FakeStream[] = [];
    for (let round = 0; round < 4; round++) {
      for (let count = 0; count < 3; count++) {
        const { stream, entered } = hub.ask();
        if ((await entered.then(() => "in").catch(() => "refused")) === "in") {
          stream.stall();
          streams.push(stream);
        }
      }
      await hub.publish(1);
      await hub.clock.advance(65_000);
    }
    expect(streams).toHaveLength(6);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 3, lingeringConnections: 3 });
    streams[0]?.leave();
    await hub.clock.advance(65_000);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 2, lingeringConnections: 3 });
    await hub.connect();
    expect(hub.hub.health()).toMatchObject({ activeConnections: 3, lingeringConnections: 3 });
  });
});
