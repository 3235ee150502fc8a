import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { FakeHub } from "../../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../../support/hub/fake-stream.ts";
import { dataOf } from "../../../support/hub/frames.ts";
import { outcomeOf, type Outcome } from "../../../support/hub/outcome.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

function hubOf(maxConnectionsPerAddress: number, maxConnections = 100): FakeHub {
  return new FakeHub({ settings: { maxConnectionsPerAddress, maxConnections } });
}

function ask(hub: FakeHub, address: string | null): Outcome<void> {
  return outcomeOf(hub.ask({ address }).entered);
}

async function fill(hub: FakeHub, address: string | null, streams: number): Promise<FakeStream[]> {
  const filled: FakeStream[] = [];
  for (let count = 0; count < streams; count++) {
    filled.push(await hub.connect({ address }));
  }
  return filled;
}

/** Null if the connect was refused. */
function clientIdOf(stream: FakeStream): unknown {
  const [connected] = stream.sent.events;
  return connected === undefined ? null : dataOf(connected)["client_id"];
}

describe("the streams of an address", () => {
  it("are limited exactly if many are requested at once in an unused channel", async () => {
    const hub = hubOf(3);
    const outcomes = ["a", "b", "a", "a", "b", "a", "a", "b", "b", "a"].map((address) => ask(hub, address));
    await hub.clock.advance(SECOND);
    expect(outcomes.filter(({ state }) => state === "done")).toHaveLength(6);
    expect(outcomes.filter(({ state }) => state === "address_limit")).toHaveLength(4);
    expect(hub.hub.health()).toMatchObject({ status: "healthy", activeConnections: 6 });
    expect(hub.hub.counters.rejections).toEqual({ address_limit: 4 });
  });

  it("are counted while they replay and while they stall", async () => {
    const hub = hubOf(2);
    await hub.publish(100);
    const stalled = await hub.connect({ address: "a" });
    stalled.stall();
    (await hub.connect({ address: "a", lastEventId: 0 })).stall();
    await hub.publish(1);
    await expect(hub.connect({ address: "a" })).rejects.toMatchObject({ code: "address_limit" });
    stalled.leave();
    await hub.clock.settle();
    await hub.connect({ address: "a" });
  });

  it("are not limited without an address or with the limit 0", async () => {
    expect(await fill(hubOf(1), null, 20)).toHaveLength(20);
    expect(await fill(hubOf(0), "a", 20)).toHaveLength(20);
  });

  it("never exceed the limit, and none is forgotten, however clients connect and leave", async () => {
    const step = fc.record({
      address: fc.constantFrom("a", "b", null),
      act: fc.constantFrom("ask", "ask", "ask", "leave", "break", "stall", "wait"),
      whom: fc.nat(7),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const hub = hubOf(2, 5);
        const asked: { address: string | null; stream: FakeStream }[] = [];
        for (const { address, act, whom } of steps) {
          const one = asked[whom % Math.max(1, asked.length)];
          if (act === "ask") {
            const { stream, entered } = hub.ask({ address });
            void outcomeOf(entered);
            asked.push({ address, stream });
          } else if (act === "wait") {
            await hub.clock.advance(1_100);
          } else {
            one?.stream[act]();
          }
          await hub.clock.settle();
          for (const limited of ["a", "b"]) {
            const own = asked.filter((each) => each.address === limited);
            const ids = new Set(own.map(({ stream }) => clientIdOf(stream)));
            const registered = hub.hub.clients().filter(({ id }) => ids.has(id));
            expect(registered.length).toBeLessThanOrEqual(2);
          }
          expect(hub.hub.health().activeConnections).toBeLessThanOrEqual(5);
        }
        for (const { stream } of asked) {
          stream.leave();
        }
        await hub.clock.advance(SECOND);
        expect(hub.hub.health().activeConnections).toBe(0);
        await fill(hub, "a", 2);
        await expect(hub.connect({ address: "a" })).rejects.toMatchObject({ code: "address_limit" });
        await fill(hub, "b", 2);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a connect that finds no slot for its address", () => {
  it("probes only the quiet clients of that address", async () => {
    const hub = hubOf(2);
    const own = await fill(hub, "a", 2);
    const others = [...(await fill(hub, "b", 2)), ...(await fill(hub, null, 2))];
    await hub.clock.advance(SECOND);
    const outcome = ask(hub, "a");
    await hub.clock.advance(249);
    expect(outcome.state).toBe("waiting");
    await hub.clock.advance(1);
    expect(outcome.state).toBe("address_limit");
    expect(own.map(({ seen }) => seen.comments.length)).toEqual([1, 1]);
    expect(others.map(({ seen }) => seen.comments.length)).toEqual([0, 0, 0, 0]);
  });

  it("takes the slot of a client that turns out to be dead", async () => {
    const hub = hubOf(2);
    const [first] = await fill(hub, "a", 2);
    await hub.clock.advance(SECOND);
    first?.break();
    await hub.connect({ address: "a" });
    expect(hub.hub.health().activeConnections).toBe(2);
  });

  it("shares its probe with the other connects of its address, which all take slots of dead clients", async () => {
    const hub = hubOf(20);
    const dead = await fill(hub, "a", 20);
    await hub.clock.advance(5 * SECOND);
    const outcomes = Array.from({ length: 20 }, () => ask(hub, "a"));
    await hub.clock.advance(100);
    dead.forEach((stream) => stream.leave());
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual(Array.from({ length: 20 }, () => "done"));
  });

  it("causes at most one probe a second for each address, and waits no longer than the probe", async () => {
    const hub = hubOf(1);
    const [[a], [b]] = [await fill(hub, "a", 1), await fill(hub, "b", 1)];
    await hub.clock.advance(5 * SECOND);
    const first = ask(hub, "a");
    await hub.clock.advance(200);
    const [second, other] = [ask(hub, "a"), ask(hub, "b")];
    await hub.clock.advance(50);
    expect([first, second, other].map(({ state }) => state)).toEqual([
      "address_limit",
      "address_limit",
      "waiting",
    ]);
    await hub.clock.advance(100);
    const late = [ask(hub, "a"), ask(hub, "b")];
    await hub.clock.settle();
    expect(late.map(({ state }) => state)).toEqual(["address_limit", "waiting"]);
    expect([a?.seen.comments.length, b?.seen.comments.length]).toEqual([1, 1]);
  });

  it("neither prevents a probe of a full channel nor repeats a recent one", async () => {
    const hub = hubOf(1, 2);
    const [[a], [b]] = [await fill(hub, "a", 1), await fill(hub, "b", 1)];
    await hub.clock.advance(5 * SECOND);
    ask(hub, "a");
    await hub.clock.advance(500);
    const everybody = ask(hub, "c");
    await hub.clock.settle();
    expect([a?.seen.comments.length, b?.seen.comments.length]).toEqual([1, 1]);
    expect(everybody.state).toBe("waiting");
    const shared = ask(hub, "b");
    await hub.clock.settle();
    expect(shared.state).toBe("waiting");
    b?.leave();
    await hub.clock.settle();
    expect([everybody.state, shared.state]).toEqual(["done", "waiting"]);
  });

  it("waits for a slot that fits, while a later connect takes another slot", async () => {
    const hub = hubOf(2, 3);
    const [first] = await fill(hub, "a", 2);
    const [other] = await fill(hub, "b", 1);
    await hub.clock.advance(SECOND);
    const [again, late] = [ask(hub, "a"), ask(hub, "c")];
    await hub.clock.settle();
    other?.leave();
    await hub.clock.settle();
    expect([again.state, late.state]).toEqual(["waiting", "done"]);
    first?.leave();
    await hub.clock.settle();
    expect(again.state).toBe("done");
    expect(hub.hub.health().activeConnections).toBe(3);
  });

  it("is refused at once if the channel is drained", async () => {
    const hub = hubOf(1);
    await fill(hub, "a", 1);
    await hub.clock.advance(SECOND);
    const outcome = ask(hub, "a");
    hub.hub.drain(hub.clock.now() + MINUTE);
    await hub.clock.settle();
    expect(outcome.state).toBe("draining");
  });
});

describe("the connects of an address", () => {
  const LIMITED = { settings: { maxConnectsPerMinutePerAddress: 3 } };

  it("are limited exactly per minute, even if their streams are gone, and the refusal says when the minute ends", async () => {
    const hub = new FakeHub(LIMITED);
    for (let count = 0; count < 3; count++) {
      (await hub.connect({ address: "a" })).leave();
      await hub.clock.advance(5 * SECOND);
    }
    await expect(hub.connect({ address: "a" })).rejects.toMatchObject({
      code: "rate_limited",
      retryAfterSeconds: 45,
    });
    await hub.clock.advance(45 * SECOND);
    await hub.connect({ address: "a" });
    expect(hub.hub.counters).toMatchObject({ connects: 4, rejections: { rate_limited: 1 } });
  });

  it("are limited if they come at once", async () => {
    const hub = new FakeHub(LIMITED);
    const outcomes = Array.from({ length: 6 }, (_, index) => ask(hub, index % 2 === 0 ? "a" : "b"));
    outcomes.push(...Array.from({ length: 4 }, () => ask(hub, "a")));
    await hub.clock.settle();
    expect(outcomes.map(({ state }) => state)).toEqual([
      ...Array.from({ length: 6 }, () => "done"),
      ...Array.from({ length: 4 }, () => "rate_limited"),
    ]);
  });

  it("count even if they are refused", async () => {
    const hub = new FakeHub({ settings: { maxConnectsPerMinutePerAddress: 3, maxConnectionsPerAddress: 1 } });
    const states = [];
    for (let count = 0; count < 5; count++) {
      states.push(ask(hub, "a"));
      await hub.clock.settle();
    }
    expect(states.map(({ state }) => state)).toEqual([
      "done",
      "address_limit",
      "address_limit",
      "rate_limited",
      "rate_limited",
    ]);
  });

  it("read and write nothing if they are beyond the limit", async () => {
    const hub = new FakeHub(LIMITED);
    hub.hub.drain(hub.clock.now() + MINUTE);
    for (let count = 0; count < 3; count++) {
      await expect(hub.connect({ address: "a" })).rejects.toMatchObject({ code: "draining" });
    }
    let created = 0;
    hub.log.create = () => {
      created++;
    };
    const { reads, alarmsSet } = { reads: hub.log.reads, alarmsSet: hub.alarmsSet };
    await expect(hub.connect({ address: "a", lastEventId: 0 })).rejects.toMatchObject({
      code: "rate_limited",
    });
    expect([created, hub.log.reads, hub.alarmsSet]).toEqual([0, reads, alarmsSet]);
  });

  it("are not limited without an address or with the limit 0", async () => {
    expect(await fill(new FakeHub(LIMITED), null, 20)).toHaveLength(20);
    expect(await fill(new FakeHub(), "a", 20)).toHaveLength(20);
  });

  it("are summed up in the log if they are refused, without the address", async () => {
    const hub = new FakeHub(LIMITED);
    for (let count = 0; count < 10; count++) {
      await hub.connect({ address: "203.0.113.7" }).catch(() => undefined);
    }
    await hub.clock.advance(5 * SECOND);
    expect(hub.logged("connect_refused").map(({ level, fields }) => [level, fields])).toEqual([
      ["warn", { code: "rate_limited", count: 1 }],
      ["warn", { code: "rate_limited", count: 6 }],
    ]);
    expect(JSON.stringify([hub.lines, hub.hub.clients()])).not.toContain("203.0.113.7");
  });

  it("leave no timer behind", async () => {
    const hub = new FakeHub(LIMITED);
    for (let count = 0; count < 5; count++) {
      await hub.connect({ address: "a" }).then(
        (stream) => stream.leave(),
        () => undefined,
      );
    }
    await hub.clock.advance(2 * MINUTE);
    expect([hub.clock.timers, hub.alarmAt]).toEqual([0, null]);
  });
});
