import { describe, expect, it } from "vitest";

import { FakeHub } from "../../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../../support/hub/fake-stream.ts";
import { outcomeOf, type Outcome } from "../../../support/hub/outcome.ts";

const LIMIT = { code: "limit" };

/** A hub with this many slots, all of them taken. */
async function fullHub(maxConnections: number): Promise<{ hub: FakeHub; streams: FakeStream[] }> {
  const hub = new FakeHub({ settings: { maxConnections } });
  const streams: FakeStream[] = [];
  for (let count = 0; count < maxConnections; count++) {
    streams.push(await hub.connect());
  }
  return { hub, streams };
}

describe("the limit", () => {
  it("is exact if twice as many clients connect at once to an unused channel", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 5 } });
    const outcomes = Array.from({ length: 10 }, () => outcomeOf(hub.ask().entered));
    let most = 0;
    for (let turn = 0; turn < 30; turn++) {
      await Promise.resolve();
      most = Math.max(most, hub.hub.health().activeConnections);
    }
    await hub.clock.advance(1_000);
    expect(most).toBeLessThanOrEqual(5);
    expect(hub.hub.health().activeConnections).toBe(5);
    expect(outcomes.map(({ state }) => state).toSorted()).toEqual([
      ...Array.from({ length: 5 }, () => "done"),
      ...Array.from({ length: 5 }, () => "limit"),
    ]);
  });

  it("is exact while clients connect and leave", async () => {
    const { hub, streams } = await fullHub(5);
    for (let round = 0; round < 20; round++) {
      streams.shift()?.leave();
      const asked = Array.from({ length: 4 }, () => hub.ask());
      const outcomes = asked.map(({ entered }) => outcomeOf(entered));
      for (let turn = 0; turn < 30; turn++) {
        await Promise.resolve();
        expect(hub.hub.health().activeConnections).toBeLessThanOrEqual(5);
      }
      await hub.clock.advance(300);
      expect(outcomes.filter(({ state }) => state === "done")).toHaveLength(1);
      streams.push(
        ...asked.filter((_, index) => outcomes[index]?.state === "done").map(({ stream }) => stream),
      );
    }
  });

  it("counts replaying and stalled clients", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 2 } });
    await hub.publish(100);
    const stalled = await hub.connect();
    stalled.stall();
    const replaying = await hub.connect({ lastEventId: 0 });
    replaying.stall();
    await hub.publish(1);
    await expect(hub.connect()).rejects.toMatchObject(LIMIT);
  });

  it("leaves no trace of a refused client", async () => {
    const { hub } = await fullHub(1);
    const { stream, entered } = hub.ask();
    await expect(entered).rejects.toMatchObject(LIMIT);
    await hub.publish(1);
    expect(stream.writes).toEqual([]);
    expect(hub.hub.counters).toMatchObject({ connects: 1, rejections: { limit: 1 } });
    await hub.clock.advance(10_000);
    expect(hub.hub.clients()).toHaveLength(1);
  });

  it("makes the channel degraded while it is reached", async () => {
    const { hub, streams } = await fullHub(2);
    expect(hub.hub.health()).toMatchObject({ status: "degraded", reasons: ["limit_reached"] });
    streams[0]?.leave();
    await hub.clock.settle();
    expect(hub.hub.health()).toMatchObject({ status: "healthy", reasons: [] });
  });
});

describe("a connect that finds no slot", () => {
  it("is refused at once if all clients were written to within the last second", async () => {
    const { hub } = await fullHub(3);
    const outcome = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    expect(outcome.state).toBe("limit");
  });

  it("probes the quiet clients and waits at most 250 ms", async () => {
    const { hub, streams } = await fullHub(3);
    await hub.clock.advance(1_000);
    const outcome = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    expect(streams.map(({ seen }) => seen.comments)).toEqual([["heartbeat"], ["heartbeat"], ["heartbeat"]]);
    await hub.clock.advance(249);
    expect(outcome.state).toBe("waiting");
    await hub.clock.advance(1);
    expect(outcome.state).toBe("limit");
  });

  it("takes the slot of a client that turns out to be dead", async () => {
    const { hub, streams } = await fullHub(3);
    await hub.clock.advance(1_000);
    streams[1]?.break();
    const { stream, entered } = hub.ask();
    await entered;
    await hub.clock.settle();
    expect(stream.seen.events[0]?.type).toBe("connected");
    expect(hub.hub.health().activeConnections).toBe(3);
  });

  it("does not probe clients that were written to within the last second", async () => {
    const { hub, streams } = await fullHub(2);
    await hub.clock.advance(1_000);
    await hub.publish(1);
    await hub.clock.advance(999);
    await expect(hub.ask().entered).rejects.toMatchObject(LIMIT);
    expect(streams.map(({ seen }) => seen.comments)).toEqual([[], []]);
  });

  it("shares its probe with other connects: one a second for the channel, and none waits longer than the probe", async () => {
    const { hub, streams } = await fullHub(2);
    await hub.clock.advance(5_000);
    const first = outcomeOf(hub.ask().entered);
    await hub.clock.advance(100);
    const second = outcomeOf(hub.ask().entered);
    await hub.clock.advance(149);
    expect([first.state, second.state]).toEqual(["waiting", "waiting"]);
    await hub.clock.advance(1);
    expect([first.state, second.state]).toEqual(["limit", "limit"]);
    for (let count = 0; count < 7; count++) {
      const outcome = outcomeOf(hub.ask().entered);
      await hub.clock.advance(100);
      expect(outcome.state).toBe("limit");
    }
    expect(streams.map(({ seen }) => seen.comments.length)).toEqual([1, 1]);
    await hub.clock.advance(100);
    outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    expect(streams.map(({ seen }) => seen.comments.length)).toEqual([2, 2]);
  });

  it("does not probe clients that become quiet within a second of the last probe", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 2 } });
    const [quiet, busier] = [await hub.connect({ terms: { types: ["a"] } }), await hub.connect()];
    await hub.clock.advance(4_500);
    await hub.publish(1);
    await hub.clock.advance(500);
    const first = outcomeOf(hub.ask().entered);
    await hub.clock.advance(600);
    const second = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    expect([first.state, second.state]).toEqual(["limit", "limit"]);
    expect([quiet.seen.comments.length, busier.seen.comments.length]).toEqual([1, 0]);
  });

  it("gets a freed slot if it has waited longest", async () => {
    const { hub, streams } = await fullHub(3);
    await hub.clock.advance(1_000);
    const outcomes = [hub.ask(), hub.ask(), hub.ask()].map(({ entered }) => outcomeOf(entered));
    await hub.clock.advance(50);
    streams[0]?.leave();
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "waiting", "waiting"]);
    streams[1]?.leave();
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done", "waiting"]);
    await hub.clock.advance(300);
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done", "limit"]);
  });

  it("gets a slot if several are freed at once", async () => {
    const { hub, streams } = await fullHub(3);
    await hub.clock.advance(1_000);
    const outcomes = [hub.ask(), hub.ask(), hub.ask()].map(({ entered }) => outcomeOf(entered));
    await hub.clock.settle();
    streams.forEach((stream) => stream.leave());
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done", "done"]);
  });

  it("does not lose a freed slot to a connect that comes at the same moment", async () => {
    const { hub, streams } = await fullHub(1);
    await hub.clock.advance(1_000);
    const waiting = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    streams[0]?.leave();
    const late: Outcome<void>[] = [];
    for (let turn = 0; turn < 12; turn++) {
      late.push(outcomeOf(hub.ask().entered));
      await Promise.resolve();
    }
    await hub.clock.advance(300);
    expect(waiting.state).toBe("done");
    expect(late.filter(({ state }) => state === "done")).toEqual([]);
  });

  it("is refused at once if the channel is drained or stopped", async () => {
    const { hub } = await fullHub(1);
    await hub.clock.advance(1_000);
    const drained = outcomeOf(hub.ask().entered);
    await hub.clock.settle();
    hub.hub.drain(hub.clock.now() + 60_000);
    await hub.clock.settle();
    expect(drained.state).toBe("draining");

    const { hub: other } = await fullHub(1);
    await other.clock.advance(1_000);
    const stopped = outcomeOf(other.ask().entered);
    await other.clock.settle();
    void other.hub.stop();
    await other.clock.settle();
    expect(stopped.state).toBe("shutting_down");
  });
});

describe("refusals", () => {
  it("are logged at once, and then once a second with a count", async () => {
    const { hub } = await fullHub(1);
    const logged = (): unknown[] =>
      hub.logged("limit_reached").map(({ level, fields }) => [level, fields["count"]]);
    for (let count = 0; count < 5; count++) {
      await expect(hub.connect()).rejects.toMatchObject(LIMIT);
    }
    expect(logged()).toEqual([["warn", 1]]);
    await hub.clock.advance(999);
    expect(logged()).toHaveLength(1);
    await hub.clock.advance(1);
    expect(logged()).toEqual([
      ["warn", 1],
      ["warn", 4],
    ]);
    await hub.clock.advance(10_000);
    expect(logged()).toHaveLength(2);
  });

  it("are logged every second while they go on, and all are counted", async () => {
    const hub = new FakeHub();
    hub.hub.drain(hub.clock.now() + 60_000);
    for (let count = 0; count < 50; count++) {
      await expect(hub.connect()).rejects.toMatchObject({ code: "draining" });
      await hub.clock.advance(100);
    }
    await hub.clock.advance(2_000);
    const lines = hub.lines.filter(({ level }) => level === "warn");
    expect(lines.length).toBeLessThanOrEqual(7);
    expect(lines.reduce((sum, { fields }) => sum + Number(fields["count"]), 0)).toBe(50);
    expect(hub.hub.counters.rejections).toEqual({ draining: 50 });
  });

  it("leave no timer behind", async () => {
    const { hub } = await fullHub(1);
    const before = hub.clock.timers;
    await hub.clock.advance(1_000);
    const outcome = outcomeOf(hub.ask().entered);
    await hub.clock.advance(2_000);
    expect(outcome.state).toBe("limit");
    expect(hub.clock.timers).toBe(before);
  });
});
