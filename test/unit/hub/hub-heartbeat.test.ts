import { describe, expect, it } from "vitest";

import { FakeHub } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { newEvent } from "../../support/hub/new-event.ts";

/** When each heartbeat was sent, in seconds after the start, to a tenth. */
async function beatsOf(hub: FakeHub, stream: FakeStream, withinMs: number): Promise<number[]> {
  const start = hub.clock.now();
  const beats: number[] = [];
  while (hub.clock.now() < start + withinMs) {
    await hub.clock.advance(100);
    while (beats.length < stream.seen.comments.length) {
      beats.push(hub.clock.now() - start);
    }
  }
  return beats;
}

describe("a heartbeat", () => {
  it.each([1, 2, 5, 15, 30, 60, 300])(
    "comes 1.0 to 1.25 intervals after the last bytes, with an interval of %d s",
    async (seconds) => {
      const intervalMs = seconds * 1_000;
      const hub = new FakeHub({ settings: { heartbeatIntervalMs: intervalMs } });
      await hub.clock.advance(intervalMs * 0.37);
      const stream = await hub.connect();
      for (let beat = 1; beat <= 5; beat++) {
        const last = hub.hub.clients()[0]?.writtenAt ?? 0;
        await hub.clock.advance(last + intervalMs - 1 - hub.clock.now());
        expect(stream.seen.comments).toHaveLength(beat - 1);
        await hub.clock.advance(0.25 * intervalMs + 1);
        expect(stream.seen.comments).toHaveLength(beat);
      }
    },
  );

  it("is postponed by any frame, such as an event or a gap", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 10_000 } });
    const stream = await hub.connect();
    for (let count = 0; count < 10; count++) {
      await hub.clock.advance(9_000);
      await hub.publish(1);
    }
    expect(stream.seen.comments).toEqual([]);
    expect((await beatsOf(hub, stream, 13_000))[0]).toBeGreaterThanOrEqual(10_000);
  });

  it("is not postponed by an event that the filter hides", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 10_000 } });
    const stream = await hub.connect({ terms: { types: ["other"] } });
    for (let count = 0; count < 14; count++) {
      await hub.clock.advance(1_000);
      await hub.publish(1);
    }
    expect(stream.seen.comments).toHaveLength(1);
  });

  it("goes only to clients that are due", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 10_000 } });
    const first = await hub.connect();
    await hub.clock.advance(5_000);
    const second = await hub.connect();
    await hub.clock.advance(6_500);
    expect([first.seen.comments.length, second.seen.comments.length]).toEqual([1, 0]);
    await hub.clock.advance(5_000);
    expect([first.seen.comments.length, second.seen.comments.length]).toEqual([1, 1]);
  });

  it("is only a comment if the filter has hidden nothing", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    await hub.publish(3);
    const before = stream.seen.text.length;
    await hub.clock.advance(35_000);
    expect(stream.seen.text.slice(before)).toBe(": heartbeat\n\n");
  });

  it("carries the cursor once if the filter has hidden events", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect({ terms: { types: ["a"] } });
    await hub.publish([newEvent({ type: "a" }), newEvent({ type: "b" }), newEvent({ type: "b" })]);
    expect(stream.seen.lastEventId).toBe("1");
    const before = stream.seen.text.length;
    await hub.clock.advance(35_000);
    expect(stream.seen.text.slice(before)).toBe(": heartbeat\nid: 3\n\n");
    expect(stream.seen.lastEventId).toBe("3");
    await hub.clock.advance(30_000);
    expect(stream.seen.text.endsWith("id: 3\n\n: heartbeat\n\n")).toBe(true);
  });

  it("never carries an id that a crash can take back", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect({ terms: { types: ["a"] } });
    await hub.publish(2);
    hub.log.hold();
    void hub.hub.publish([newEvent(), newEvent()], null);
    await hub.clock.advance(35_000);
    expect(stream.seen.lastEventId).toBe("2");
  });

  it("does not go to a client whose write is pending", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.stall();
    await hub.publish(1);
    const { length } = stream.writes;
    await hub.clock.advance(50_000);
    expect(stream.writes).toHaveLength(length);
  });

  it("removes dead clients within 60 seconds at the default interval", async () => {
    const hub = new FakeHub();
    const streams = [await hub.connect(), await hub.connect()];
    await hub.clock.advance(1);
    streams[0]?.break();
    await hub.clock.advance(60_000);
    expect(hub.hub.health().activeConnections).toBe(1);
    expect(hub.logged("client_disconnected").map(({ fields }) => fields["reason"])).toEqual(["client_left"]);
  });

  it("goes on after a restart that takes over the alarm", async () => {
    const hub = new FakeHub();
    await hub.connect();
    hub.restart();
    const stream = await hub.connect();
    await hub.clock.advance(100_000);
    expect(stream.seen.comments.length).toBeGreaterThanOrEqual(2);
  });

  it("costs only a few writes of the alarm, however much is published", async () => {
    const hub = new FakeHub();
    await hub.connect();
    hub.alarmsSet = 0;
    for (let count = 0; count < 600; count++) {
      await hub.publish(1);
      await hub.clock.advance(100);
    }
    expect(hub.alarmsSet).toBeLessThan(6);
  });
});

describe("the alarm", () => {
  it("is not set by an unused hub", async () => {
    const hub = new FakeHub();
    hub.hub.health();
    hub.hub.clients();
    await hub.clock.advance(1_000_000);
    expect([hub.alarmAt, hub.alarmsSet]).toEqual([null, 0]);
  });

  it("is not set again after the last client has left an empty channel", async () => {
    const hub = new FakeHub();
    const streams = [await hub.connect(), await hub.connect()];
    expect(hub.alarmAt).not.toBeNull();
    streams.forEach((stream) => stream.leave());
    await hub.clock.advance(120_000);
    expect(hub.alarmAt).toBeNull();
    const { rings } = hub;
    await hub.clock.advance(1_000_000);
    expect(hub.rings).toBe(rings);
    expect(hub.clock.timers).toBe(0);
  });

  it("does not ring every minute for something that is due in a day", async () => {
    const hub = new FakeHub();
    await hub.publish(5);
    await hub.clock.advance(3_600_000);
    expect(hub.rings).toBeLessThan(3);
  });

  it("may ring late, twice or for nothing", async () => {
    const hub = new FakeHub({ settings: { heartbeatIntervalMs: 10_000 } });
    const stream = await hub.connect();
    for (let count = 0; count < 5; count++) {
      await hub.hub.tick();
    }
    await hub.clock.settle();
    expect(stream.seen.comments).toEqual([]);
    expect(hub.alarmAt).not.toBeNull();
    await hub.clock.advance(12_500);
    expect(stream.seen.comments).toHaveLength(1);
    await hub.hub.tick();
    expect(stream.seen.comments).toHaveLength(1);
  });

  it("never fails, and is set again, if the log cannot be read", async () => {
    const hub = new FakeHub({
      settings: { heartbeatIntervalMs: 10_000, retention: { maxEvents: 10, maxAgeMs: 5_000, maxBytes: 1e9 } },
    });
    const stream = await hub.connect();
    await hub.publish(20);
    hub.log.stamp = () => {
      throw new Error("the disk is gone");
    };
    await expect(hub.hub.tick()).resolves.toBeUndefined();
    expect(hub.alarmAt).not.toBeNull();
    await hub.clock.advance(13_000);
    expect(stream.seen.comments.length).toBeGreaterThan(0);
    expect(hub.logged("tick_failed").length).toBeGreaterThan(0);
  });
});
