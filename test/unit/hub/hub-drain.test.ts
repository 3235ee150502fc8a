import { describe, expect, it } from "vitest";

import { FakeHub } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { dataOf } from "../../support/hub/frames.ts";

const MINUTE = 60_000;

const DRAINING = { code: "draining" };

function closeOf(stream: FakeStream): Readonly<Record<string, unknown>> {
  const last = stream.seen.events.at(-1);
  expect(last).toMatchObject({ type: "close", id: undefined });
  return dataOf(last);
}

describe("a drain", () => {
  it("ends every stream, with the reason and the time to come back", async () => {
    const jitter = [0, 0.5, 1];
    const hub = new FakeHub({ random: () => jitter.shift() ?? 0 });
    const streams = [await hub.connect(), await hub.connect(), await hub.connect()];
    expect(hub.hub.drain(hub.clock.now() + MINUTE)).toMatchObject({ closed: 3 });
    await hub.clock.settle();
    expect(streams.map(closeOf)).toEqual(
      [5_000, 7_500, 10_000].map((retryAfterMs) => ({ reason: "drain", retry_after_ms: retryAfterMs })),
    );
    expect(streams.map(({ seen }) => seen.retries.at(-1))).toEqual([5_000, 7_500, 10_000]);
    expect(streams.map(({ isEnded }) => isEnded)).toEqual([true, true, true]);
    expect(hub.hub.health()).toMatchObject({ status: "draining", activeConnections: 0 });
    expect(hub.hub.counters.disconnects).toEqual({ drain: 3 });
  });

  it("refuses connects while publishing goes on", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    await expect(hub.connect()).rejects.toMatchObject(DRAINING);
    await hub.publish(3);
    expect(hub.hub.health()).toMatchObject({ status: "draining", lastEventId: 3 });
    expect(hub.hub.counters.rejections).toEqual({ draining: 1 });
  });

  it("writes nothing if a client connects to an unused channel", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    await expect(hub.connect()).rejects.toMatchObject(DRAINING);
    expect(hub.log.name).toBeNull();
  });

  it("ends by itself after its time, to the millisecond", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    await hub.clock.advance(MINUTE - 1);
    await expect(hub.connect()).rejects.toMatchObject(DRAINING);
    await hub.clock.advance(1);
    await hub.connect();
    expect(hub.hub.health().status).toBe("healthy");
  });

  it("is forgotten and logged when it has ended by itself, even in a channel with events", async () => {
    const hub = new FakeHub();
    await hub.publish(3);
    hub.hub.drain(hub.clock.now() + 10 * MINUTE);
    await hub.clock.advance(11 * MINUTE);
    expect(hub.savedDrain).toBeNull();
    expect(hub.logged("drain_started")).toHaveLength(1);
    expect(hub.logged("drain_ended")).toHaveLength(1);
  });

  it("is forgotten in time even if it is longer than events are kept", async () => {
    const hub = new FakeHub({ settings: { retention: { maxEvents: 100, maxAgeMs: MINUTE, maxBytes: 1e9 } } });
    await hub.publish(3);
    hub.hub.drain(hub.clock.now() + 10 * MINUTE);
    await hub.clock.advance(5 * MINUTE);
    await hub.publish(3);
    await hub.clock.advance(5 * MINUTE + 5_000);
    expect(hub.savedDrain).toBeNull();
    expect(hub.logged("drain_ended")).toHaveLength(1);
  });

  it("survives a restart and still ends in time", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    hub.restart();
    expect(hub.hub.health().status).toBe("draining");
    await expect(hub.connect()).rejects.toMatchObject(DRAINING);
    await hub.clock.advance(MINUTE);
    await hub.connect();
    expect(hub.hub.health().activeConnections).toBe(1);
  });

  it("ends at once by a resume, which may be repeated", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    hub.hub.resume();
    hub.hub.resume();
    expect(hub.savedDrain).toBeNull();
    await hub.connect();
    hub.restart();
    expect(hub.hub.health().status).toBe("healthy");
    expect(hub.logged("drain_ended")).toHaveLength(1);
  });

  it("takes the new time if it is repeated", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + 10 * MINUTE);
    hub.hub.drain(hub.clock.now() + MINUTE);
    await hub.clock.advance(MINUTE);
    await hub.connect();
    hub.hub.drain(hub.clock.now() + MINUTE);
    hub.hub.drain(hub.clock.now() + 3 * MINUTE);
    await hub.clock.advance(2 * MINUTE);
    await expect(hub.connect()).rejects.toMatchObject(DRAINING);
  });

  it("counts a stalled client as lingering and does not wait for it", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    expect(hub.hub.drain(hub.clock.now() + MINUTE)).toEqual({ closed: 1, lingering: 1 });
    await hub.clock.settle();
    stream.resume();
    await hub.clock.settle();
    expect(closeOf(stream)).toMatchObject({ reason: "drain" });
    expect(hub.hub.health().lingeringConnections).toBe(0);
  });

  it("lets clients resume without loss", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    await hub.publish(2);
    hub.hub.drain(hub.clock.now() + MINUTE);
    await hub.publish(2);
    hub.hub.resume();
    const again = await hub.connect({ lastEventId: stream.seen.lastEventId });
    await hub.publish(1);
    expect([...stream.ids, ...again.ids]).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("a stop", () => {
  it("ends every stream and refuses connects", async () => {
    const hub = new FakeHub();
    const streams = [await hub.connect(), await hub.connect()];
    const stopping = hub.stop();
    await hub.clock.settle();
    expect(await stopping).toEqual({ closed: 2, lingering: 0 });
    for (const stream of streams) {
      expect(closeOf(stream)).toMatchObject({ reason: "shutdown" });
      expect(stream.isEnded).toBe(true);
    }
    await expect(hub.connect()).rejects.toMatchObject({ code: "shutting_down" });
    expect(hub.hub.health().status).toBe("draining");
    expect(hub.logged("channel_closed").map(({ fields }) => fields)).toEqual([{ closed: 2 }]);
  });

  it("refuses publishes only after the streams are closed", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    const stopping = hub.stop();
    await hub.publish(1);
    stream.resume();
    await hub.clock.settle();
    await stopping;
    await expect(hub.publish(1)).rejects.toMatchObject({ code: "shutting_down" });
    expect(hub.log.head).toBe(2);
  });

  it("waits at most 2 s for a client that never reads", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    const stopping = outcomeOf(hub.stop());
    await hub.clock.advance(1_999);
    expect(stopping.state).toBe("waiting");
    await hub.clock.advance(1);
    expect(stopping.value).toEqual({ closed: 1, lingering: 1 });
  });

  it("resolves for every caller, even if several call at the same time", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.takeAfter(hub.clock, 500);
    await hub.publish(1);
    const stopping = [hub.stop(), hub.stop()].map((each) => outcomeOf(each));
    await hub.clock.advance(1_000);
    expect(stopping.map(({ value }) => value)).toEqual([
      { closed: 1, lingering: 0 },
      { closed: 0, lingering: 0 },
    ]);
    await expect(hub.stop()).resolves.toEqual({ closed: 0, lingering: 0 });
  });

  it("ends at once in a channel without clients, and leaves no timer", async () => {
    const hub = new FakeHub();
    await expect(hub.stop()).resolves.toEqual({ closed: 0, lingering: 0 });
    expect(hub.clock.timers).toBe(0);
  });

  it("takes precedence over a drain in the refusal", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + MINUTE);
    void hub.stop();
    await expect(hub.connect()).rejects.toMatchObject({ code: "shutting_down" });
  });
});
