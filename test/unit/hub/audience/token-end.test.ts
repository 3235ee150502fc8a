import { describe, expect, it } from "vitest";

import { FakeHub } from "../../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../../support/hub/fake-stream.ts";
import { dataOf, type SeenEvent } from "../../../support/hub/frames.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** Connects a client whose token ends after this many milliseconds. */
function connectFor(hub: FakeHub, ms: number, more: { lastEventId?: number } = {}): Promise<FakeStream> {
  return hub.connect({ ...more, endsAt: hub.clock.now() + ms });
}

/** The warnings that a client was sent, accepted or not. */
function warningsOf(stream: FakeStream): SeenEvent[] {
  return stream.sent.events.filter((each) => dataOf(each)["error_type"] === "token_expiring");
}

function reasonOf(stream: FakeStream): unknown {
  return dataOf(stream.sent.events.findLast(({ type }) => type === "close"))["reason"];
}

/** A hub with one slot and one lingering stream, so that no other client that does not read can be ended. */
async function crowdedHub(
  settings: { maxStreamAgeMs?: number } = {},
): Promise<{ hub: FakeHub; lingering: FakeStream }> {
  const hub = new FakeHub({ settings: { maxConnections: 1, connectionTimeoutMs: DAY, ...settings } });
  const lingering = await connectFor(hub, SECOND);
  lingering.stall();
  await hub.publish(1);
  await hub.clock.advance(SECOND);
  expect(hub.hub.health()).toMatchObject({ activeConnections: 0, lingeringConnections: 1 });
  return { hub, lingering };
}

describe("a client whose token ends", () => {
  it("is warned once, 30 s before, and gets events until the end", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, 10 * MINUTE);
    await hub.clock.advance(10 * MINUTE - 30 * SECOND - 1);
    expect(warningsOf(stream)).toEqual([]);
    await hub.clock.advance(1);
    const [warning, ...others] = warningsOf(stream);
    expect(others).toEqual([]);
    expect(warning).toMatchObject({ type: "error", id: undefined });
    expect(dataOf(warning)).toEqual({
      error_type: "token_expiring",
      message: expect.any(String),
      retryable: true,
    });
    await hub.publish(1);
    await hub.clock.advance(30 * SECOND - 1);
    expect(stream.isEnding).toBe(false);
    expect([stream.ids, warningsOf(stream).length]).toEqual([[1], 1]);
  });

  it("is warned only in its first bytes if less than 30 s are left", async () => {
    const hub = new FakeHub();
    await hub.publish(3);
    const stream = await connectFor(hub, 20 * SECOND, { lastEventId: 0 });
    expect(stream.seen.events.map(({ type }) => type)).toEqual([
      "connected",
      "error",
      "tick",
      "tick",
      "tick",
    ]);
    expect(stream.writes).toHaveLength(2);
    await hub.clock.advance(20 * SECOND - 1);
    expect(warningsOf(stream)).toHaveLength(1);
  });

  it("gets a close frame, leaves with this reason, and resumes without loss with another token", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, MINUTE);
    await hub.publish(2);
    await hub.clock.advance(MINUTE);
    const close = stream.seen.events.at(-1);
    const { reason, retry_after_ms: retryAfterMs } = dataOf(close);
    expect([close?.type, close?.id, reason]).toEqual(["close", undefined, "token_expired"]);
    expect(retryAfterMs).toBeGreaterThanOrEqual(100);
    expect(retryAfterMs).toBeLessThanOrEqual(SECOND);
    expect(stream.seen.retries.at(-1)).toBe(retryAfterMs);
    expect(stream.isEnded).toBe(true);
    expect(hub.hub.counters.disconnects).toEqual({ token_expired: 1 });
    expect(hub.logged("client_disconnected").map(({ fields }) => fields["reason"])).toEqual([
      "token_expired",
    ]);
    await hub.publish(2);
    const again = await connectFor(hub, MINUTE, { lastEventId: Number(stream.seen.lastEventId) });
    expect([...stream.ids, ...again.ids]).toEqual([1, 2, 3, 4]);
  });

  it("ends by a timer and not by the alarm", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, 2 * MINUTE);
    hub.hub.tick = () => Promise.resolve();
    await hub.clock.advance(2 * MINUTE);
    expect([stream.isEnded, reasonOf(stream)]).toEqual([true, "token_expired"]);
  });

  it("leaves alone: the others stay, and each ends at its own time", async () => {
    const hub = new FakeHub();
    const [first, second, forever] = [
      await connectFor(hub, 5 * MINUTE),
      await connectFor(hub, MINUTE),
      await hub.connect(),
    ];
    await hub.clock.advance(MINUTE);
    expect([first, second, forever].map(({ isEnded }) => isEnded)).toEqual([false, true, false]);
    expect(warningsOf(first)).toEqual([]);
    await hub.clock.advance(4 * MINUTE);
    expect([first, second, forever].map(({ isEnded }) => isEnded)).toEqual([true, true, false]);
    expect([first, second, forever].map((stream) => warningsOf(stream).length)).toEqual([1, 1, 0]);
  });

  it("is refused if the token has ended already, and nothing is written", async () => {
    const hub = new FakeHub();
    for (const ms of [0, -1, -DAY]) {
      await expect(connectFor(hub, ms)).rejects.toMatchObject({ code: "token_ended" });
    }
    expect([hub.log.name, hub.alarmAt]).toEqual([null, null]);
    expect(hub.hub.counters).toMatchObject({ connects: 0, rejections: { token_ended: 3 } });
  });

  it("gets no event if the token ends while it waits for a slot: its stream ends at once", async () => {
    const hub = new FakeHub({ settings: { maxConnections: 1 } });
    const holder = await hub.connect();
    await hub.publish(5);
    await hub.clock.advance(SECOND);
    const { stream, entered } = hub.ask({ lastEventId: 0, endsAt: hub.clock.now() + 100 });
    await hub.clock.advance(200);
    holder.leave();
    await entered;
    await hub.clock.advance(0);
    expect(stream.seen.events.map(({ type }) => type)).toEqual(["connected", "error", "close"]);
    expect([stream.isEnded, reasonOf(stream)]).toEqual([true, "token_expired"]);
  });

  it.each([30 * DAY, 365 * DAY])(
    "stays open if its token ends in %d ms, because timers have a maximum delay",
    async (ms) => {
      const delays: number[] = [];
      const hub = new FakeHub({ settings: { heartbeatIntervalMs: 300_000 } });
      const after = hub.clock.after.bind(hub.clock);
      hub.clock.after = (delay, callback) => {
        delays.push(delay);
        return after(delay, callback);
      };
      const stream = await connectFor(hub, ms);
      await hub.clock.advance(10 * MINUTE);
      expect([stream.isEnding, warningsOf(stream).length]).toEqual([false, 0]);
      expect(Math.max(...delays)).toBeLessThan(2 ** 31);
    },
  );

  it("is shown to the operator with the end of its token, or with null if there is none", async () => {
    const hub = new FakeHub();
    const endsAt = hub.clock.now() + MINUTE;
    await hub.connect({ endsAt });
    await hub.connect();
    expect(hub.hub.clients().map(({ tokenEndsAt }) => tokenEndsAt)).toEqual([endsAt, null]);
  });

  it("leaves no timer behind", async () => {
    const hub = new FakeHub();
    await connectFor(hub, MINUTE);
    await hub.clock.advance(2 * MINUTE);
    expect([hub.clock.timers, hub.alarmAt]).toEqual([0, null]);
  });
});

describe("the age and the end of the token", () => {
  it("end the stream by its age without a warning, if that comes first", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: MINUTE }, random: () => 0 });
    const stream = await connectFor(hub, 2 * MINUTE);
    await hub.clock.advance(MINUTE);
    expect([reasonOf(stream), warningsOf(stream).length]).toEqual(["max_age", 0]);
  });

  it("end the stream by its token, if that comes first", async () => {
    const hub = new FakeHub({ settings: { maxStreamAgeMs: MINUTE }, random: () => 0 });
    const stream = await connectFor(hub, MINUTE - 1);
    await hub.clock.advance(MINUTE);
    expect([reasonOf(stream), warningsOf(stream).length]).toEqual(["token_expired", 1]);
  });

  it("end the stream with the reason that came first, even if both have passed", async () => {
    const { hub, lingering } = await crowdedHub({ maxStreamAgeMs: MINUTE });
    const stream = await connectFor(hub, 2 * MINUTE);
    stream.stall();
    await hub.publish(1);
    await hub.clock.advance(3 * MINUTE);
    expect(stream.isEnding).toBe(false);
    lingering.leave();
    await hub.clock.advance(SECOND);
    expect(reasonOf(stream)).toBe("max_age");
  });

  it("do not matter if a deploy left the stream behind: it ends with max_age", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, DAY);
    hub.log.check = () => {
      throw new Error("this storage belongs to a newer instance");
    };
    await hub.clock.advance(MINUTE);
    expect(reasonOf(stream)).toBe("max_age");
  });
});

describe("a client with a pending write whose token ends", () => {
  it("is warned soon after it accepts the write, and gets no second write before", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, MINUTE);
    await hub.clock.advance(20 * SECOND);
    stream.stall();
    await hub.publish(1);
    const { length } = stream.writes;
    await hub.clock.advance(20 * SECOND);
    expect(stream.writes).toHaveLength(length);
    stream.resume();
    await hub.clock.advance(SECOND);
    expect(stream.writes).toHaveLength(length + 1);
    expect(warningsOf(stream)).toHaveLength(1);
    await hub.clock.advance(19 * SECOND);
    expect([stream.isEnded, warningsOf(stream).length]).toEqual([true, 1]);
  });

  it("leaves the registry, and gets only the close after that write", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, 40 * SECOND);
    stream.stall();
    await hub.publish(1);
    const { length } = stream.writes;
    await hub.clock.advance(40 * SECOND);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 0, lingeringConnections: 1 });
    await hub.publish(10);
    await hub.clock.advance(MINUTE);
    expect(stream.writes).toHaveLength(length + 1);
    stream.resume();
    await hub.clock.settle();
    expect(stream.seen.events.map(({ type }) => type)).toEqual(["connected", "tick", "close"]);
    expect([stream.isEnded, reasonOf(stream)]).toEqual([true, "token_expired"]);
  });

  it("keeps its slot while too many streams linger, but gets no event, even if it reads again", async () => {
    const { hub } = await crowdedHub();
    const stream = await connectFor(hub, 40 * SECOND);
    stream.stall();
    await hub.publish(1);
    const { length } = stream.writes;
    await hub.clock.advance(40 * SECOND);
    await hub.publish(10);
    await hub.clock.advance(5 * MINUTE + 300);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 1, lingeringConnections: 1 });
    expect(stream.writes).toHaveLength(length);
    stream.resume();
    await hub.publish(10);
    expect(stream.writes).toHaveLength(length);
    await hub.clock.advance(SECOND);
    expect([stream.isEnded, reasonOf(stream)]).toEqual([true, "token_expired"]);
    expect(stream.seen.events.map(({ type }) => type)).toEqual(["connected", "tick", "close"]);
    expect(hub.hub.health()).toMatchObject({ activeConnections: 0, lingeringConnections: 1 });
  });

  it("is ended as soon as another stream no longer lingers", async () => {
    const { hub, lingering } = await crowdedHub();
    const stream = await connectFor(hub, 40 * SECOND);
    stream.stall();
    await hub.publish(1);
    await hub.clock.advance(2 * MINUTE);
    expect(stream.isEnding).toBe(false);
    lingering.leave();
    await hub.clock.advance(SECOND);
    expect([stream.isEnding, reasonOf(stream)]).toEqual([true, "token_expired"]);
  });
});

describe("the end of a token", () => {
  it("cuts a replay, and the rest comes with the next token", async () => {
    const hub = new FakeHub();
    for (let count = 0; count < 20; count++) {
      await hub.publish(1_000);
    }
    hub.restart();
    const { stream, entered } = hub.ask({ lastEventId: 0, endsAt: hub.clock.now() + 5 * SECOND });
    stream.takeAfter(hub.clock, 2 * SECOND);
    await entered;
    await hub.clock.advance(20 * SECOND);
    expect([stream.isEnded, reasonOf(stream)]).toEqual([true, "token_expired"]);
    expect(stream.ids.length).toBeGreaterThan(0);
    expect(stream.ids.length).toBeLessThan(20_000);
    const again = await hub.connect({ lastEventId: stream.seen.lastEventId });
    await hub.clock.advance(SECOND);
    expect([...stream.ids, ...again.ids]).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
  });

  it("is respected by every sweep, even if the clock has jumped and the timer is late", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, 10 * MINUTE);
    hub.clock.setBack(-10 * MINUTE);
    await hub.publish(1);
    expect(stream.ids).toEqual([]);
    await hub.clock.advance(MINUTE);
    expect([stream.ids, stream.isEnded, reasonOf(stream)]).toEqual([[], true, "token_expired"]);
  });

  it("follows the clock, even if the clock was set back", async () => {
    const hub = new FakeHub();
    const stream = await connectFor(hub, 2 * MINUTE);
    await hub.clock.advance(MINUTE);
    hub.clock.setBack(MINUTE);
    await hub.clock.advance(2 * MINUTE - 1);
    expect([stream.isEnding, warningsOf(stream).length]).toEqual([false, 1]);
    await hub.clock.advance(MINUTE);
    expect([stream.isEnded, warningsOf(stream).length]).toEqual([true, 1]);
  });
});
