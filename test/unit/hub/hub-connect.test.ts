import { describe, expect, it } from "vitest";

import { FakeHub } from "../../support/hub/fake-hub.ts";
import { dataOf } from "../../support/hub/frames.ts";

describe("the first bytes of a stream", () => {
  it("come at once, as a connected frame", async () => {
    const hub = new FakeHub({
      settings: { channel: "board", retryAfterMs: 7_000, heartbeatIntervalMs: 15_000 },
    });
    await hub.publish(41);
    const stream = await hub.connect();
    const [connected] = stream.seen.events;
    const data = dataOf(connected);
    expect(data).toEqual({
      client_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      channel: "board",
      last_event_id: "41",
      log: hub.log.name,
      heartbeat_interval_seconds: 15,
    });
    expect(stream.seen.text).toBe(`retry: 7000\nevent: connected\nid: 41\ndata: ${JSON.stringify(data)}\n\n`);
    expect(stream.writes).toHaveLength(1);
  });

  it("carry the cursor 0 and the name of the log in an empty channel", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    expect(stream.seen.lastEventId).toBe("0");
    expect(dataOf(stream.seen.events[0])).toMatchObject({ last_event_id: "0", log: hub.log.name });
    expect(hub.log.name).not.toBeNull();
  });

  it("carry the same log name after a restart", async () => {
    const hub = new FakeHub();
    const before = await hub.connect();
    hub.restart();
    const after = await hub.connect();
    expect(dataOf(after.seen.events[0])["log"]).toBe(dataOf(before.seen.events[0])["log"]);
  });

  it("wait until the name of the log is durable", async () => {
    const hub = new FakeHub();
    hub.log.hold();
    const streams = [hub.ask(), hub.ask(), hub.ask()].map(({ stream }) => stream);
    await hub.clock.settle();
    expect(streams.map(({ writes }) => writes.length)).toEqual([0, 0, 0]);
    hub.log.release();
    await hub.clock.settle();
    expect(streams.map(({ writes }) => writes.length)).toEqual([1, 1, 1]);
  });

  it("wait until the log is durable if the first publish has created it", async () => {
    const hub = new FakeHub();
    hub.log.hold();
    void hub.hub.publish([], null);
    const { stream } = hub.ask();
    await hub.clock.settle();
    expect(stream.writes).toEqual([]);
  });

  it("give each client its own id", async () => {
    const hub = new FakeHub();
    const streams = [await hub.connect(), await hub.connect(), await hub.connect()];
    const ids = streams.map(({ seen }) => dataOf(seen.events[0])["client_id"]);
    expect(new Set(ids).size).toBe(3);
    expect(hub.hub.clients().map(({ id }) => id)).toEqual(ids);
  });
});

describe("a client with an id", () => {
  it("gets every missed event exactly once, and then the live events", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    hub.restart();
    await hub.publish(10);
    const stream = await hub.connect({ lastEventId: 5 });
    await hub.publish(5);
    expect(stream.seen.lastEventId).toBe("25");
    expect(stream.ids).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
    expect(dataOf(stream.seen.events[0])).toMatchObject({ last_event_id: "5" });
  });

  it("that is too old gets a connected frame without an id, a gap with an id, and then the kept events", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    hub.log.trim(6);
    const stream = await hub.connect({ lastEventId: 3 });
    const [connected, gap, ...rest] = stream.seen.events;
    expect([connected?.type, connected?.id]).toEqual(["connected", undefined]);
    expect(dataOf(connected)).toMatchObject({ last_event_id: "6" });
    expect([gap?.type, gap?.id]).toEqual(["gap", "6"]);
    expect(dataOf(gap)).toEqual({ requested_id: "3", oldest_id: "7", latest_id: "10", reason: "expired" });
    expect(rest.map(({ id }) => id)).toEqual(["7", "8", "9", "10"]);
    expect(stream.seen.text.startsWith("retry: 5000\nevent: connected\ndata: ")).toBe(true);
  });

  it("of another log gets a gap and then the kept events", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    const stream = await hub.connect({ lastEventId: 8, logName: "another" });
    const [, gap] = stream.seen.events;
    expect(dataOf(gap)).toEqual({ requested_id: "8", oldest_id: "1", latest_id: "10", reason: "unknown" });
    expect([gap?.id, stream.ids.length]).toEqual(["0", 10]);
  });

  it("gets a gap that says that no event is kept, in a channel that was trimmed to nothing", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    hub.log.trim(10);
    const stream = await hub.connect({ lastEventId: 3 });
    const [, gap] = stream.seen.events;
    expect(dataOf(gap)).toEqual({ requested_id: "3", oldest_id: null, latest_id: "10", reason: "expired" });
    expect(gap?.id).toBe("10");
    await hub.publish(1);
    expect(stream.ids).toEqual([11]);
  });

  it("of any text gets a stream: the gap repeats 64 characters of it, and nothing can be injected", async () => {
    const hub = new FakeHub();
    for (const lastEventId of [
      "9".repeat(10_000),
      "\n\nevent: x\ndata: y\n\n",
      '"',
      "\u0000",
      "😀".repeat(100),
    ]) {
      const stream = await hub.connect({ lastEventId });
      expect(stream.seen.events.map(({ type }) => type)).toEqual(["connected", "gap"]);
      const requested = dataOf(stream.seen.events[1])["requested_id"];
      expect(requested).toBe(lastEventId.slice(0, 64));
    }
  });

  it("is counted and logged as a reconnect", async () => {
    const hub = new FakeHub();
    await hub.connect({ lastEventId: 0 });
    await hub.connect();
    expect(hub.hub.counters).toMatchObject({ connects: 2, reconnects: 1 });
    expect(hub.logged("client_connected")).toHaveLength(2);
    expect(hub.logged("client_reconnected").map(({ fields }) => fields["last_event_id"])).toEqual(["0"]);
  });
});

describe("a client that leaves", () => {
  it("is removed at once if the runtime reports it, with the reason in the log", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    await hub.publish(3);
    await hub.clock.advance(2_000);
    stream.leave();
    await hub.clock.settle();
    expect(hub.hub.health().activeConnections).toBe(0);
    expect(hub.logged("client_disconnected").map(({ fields }) => fields)).toMatchObject([
      { reason: "client_left", duration_ms: 2_000, events_sent: 3 },
    ]);
    expect(hub.hub.counters.disconnects).toEqual({ client_left: 1 });
    expect(hub.hub.health().lingeringConnections).toBe(0);
  });

  it("is removed if a write fails, and counted once even if the runtime reports it too", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect();
    stream.break();
    await hub.publish(1);
    expect(hub.hub.health().activeConnections).toBe(0);
    stream.leave();
    await hub.clock.settle();
    expect(hub.hub.counters.disconnects).toEqual({ client_left: 1 });
    expect(stream.isEnding).toBe(false);
  });

  it("releases its filter", async () => {
    const hub = new FakeHub();
    const stream = await hub.connect({ terms: { types: ["a", "b"] } });
    stream.leave();
    await hub.clock.settle();
    await hub.connect({ terms: { types: ["b", "a"] } });
    // A filter that is still held would be shared and keep the terms of its first holder.
    expect(hub.hub.clients()[0]?.terms).toEqual({ types: ["b", "a"] });
  });

  it("takes no slot if it leaves before it is admitted", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 1 } });
    const { stream, entered } = hub.ask();
    stream.leave();
    await entered.catch(() => undefined);
    await hub.clock.settle();
    expect(hub.hub.health().activeConnections).toBe(0);
    await hub.connect();
    expect(hub.hub.health().activeConnections).toBe(1);
  });
});

describe("a client that is kicked", () => {
  it("gets a close frame, and its stream ends", async () => {
    const hub = new FakeHub();
    const [kicked, other] = [await hub.connect(), await hub.connect()];
    const [id = ""] = hub.hub.clients().map((client) => client.id);
    expect(hub.hub.kick(id)).toBe(true);
    await hub.clock.settle();
    expect(kicked.isEnded).toBe(true);
    expect(kicked.seen.events.at(-1)).toMatchObject({ type: "close", id: undefined });
    expect(dataOf(kicked.seen.events.at(-1))).toEqual({
      reason: "kicked",
      retry_after_ms: expect.any(Number),
    });
    expect(other.isEnding).toBe(false);
    expect(hub.hub.kick(id)).toBe(false);
    expect(hub.hub.counters.disconnects).toEqual({ kicked: 1 });
  });

  it("has to exist", async () => {
    const hub = new FakeHub();
    await hub.connect();
    for (const id of ["", "nobody", "__proto__", "constructor"]) {
      expect(hub.hub.kick(id)).toBe(false);
    }
  });
});
