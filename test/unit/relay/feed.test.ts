import { describe, expect, it } from "vitest";

import { HubError } from "../../../src/hub/errors.ts";
import { createFilter } from "../../../src/hub/filter.ts";
import { Feed } from "../../../src/relay/feed.ts";
import { Tail } from "../../../src/relay/tail.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import type { LogLine } from "../../support/hub/fake-hub.ts";
import { decodeStream } from "../../support/hub/frames.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { historyPage, ScriptedUpstream, type ScriptedStream } from "../../support/relay/scripted-upstream.ts";

const SETTINGS = {
  tail: { maxEvents: 10_000, maxBytes: 4 * 1024 * 1024 },
  retention: { maxEvents: 100_000, maxAgeMs: 86_400_000, maxBytes: 1024 ** 3 },
};

class Rig {
  readonly clock = new FakeClock();
  readonly upstream = new ScriptedUpstream();
  readonly tail = new Tail(this.upstream, SETTINGS, this.clock);
  readonly told: unknown[] = [];
  readonly lines: LogLine[] = [];
  readonly feed: Feed;
  /** The head that the hub tells. */
  head = 0;
  /** How often the tail has moved. */
  advances = 0;

  constructor() {
    const observer = {
      attached: () => this.told.push("attached"),
      lost: (since: number) => this.told.push(["lost", since]),
      ended: (reason: string) => this.told.push(["ended", reason]),
    };
    this.feed = new Feed(this.upstream, this.tail, observer, {
      clock: this.clock,
      logger: (level, event, fields = {}) => this.lines.push({ level, event, fields }),
      heartbeatIntervalMs: 30_000,
      random: () => 0.5,
    });
    this.upstream.answer = () => historyPage({ next: this.head, latest: this.head });
    this.tail.onAdvance(() => {
      this.advances++;
    });
  }

  /** The feed is attached, and the tail has the events from 1 to `head`. */
  async attached(head = 3): Promise<ScriptedStream> {
    this.head = head;
    void this.feed.attach();
    await this.clock.settle();
    const stream = this.upstream.last.open();
    for (let seq = 1; seq <= head; seq++) {
      stream.event(seq);
    }
    await this.clock.settle();
    if (this.feed.state !== "attached") {
      throw new Error(`the feed is ${this.feed.state}`);
    }
    this.told.length = 0;
    return stream;
  }

  /** The next attempt, and after how many ms it came. */
  async next(): Promise<{ stream: ScriptedStream; afterMs: number }> {
    const { length } = this.upstream.streams;
    const from = this.clock.now();
    while (this.upstream.streams.length === length) {
      await this.clock.advance(10);
      if (this.clock.now() - from > 7_200_000) {
        throw new Error("no attempt was made");
      }
    }
    return { stream: this.upstream.last, afterMs: this.clock.now() - from };
  }

  logged(event: string): unknown[] {
    return this.lines.filter((line) => line.event === event).map(({ fields }) => fields["reason"]);
  }

  /** The events in the tail, as a client gets them. */
  async events(): Promise<[number, string][]> {
    const cursor = this.tail.oldest() - 1;
    const { bytes } = await this.tail.page(cursor, createFilter({}), 1024 * 1024);
    return decodeStream(bytes === null ? [] : [bytes]).events.map(({ id, data }) => [Number(id), data]);
  }
}

describe("a feed that attaches", () => {
  it("starts 30 s in the past, and is attached once it has reached the head of the hub", async () => {
    const rig = new Rig();
    rig.head = 7;
    expect([rig.feed.state, rig.feed.nextDue()]).toEqual(["closed", Infinity]);
    const attached = outcomeOf(rig.feed.attach());
    expect(rig.feed.state).toBe("opening");
    await rig.clock.settle();
    const { from } = rig.upstream.last;
    expect(from).toEqual({ cursor: null, logName: null, since: rig.clock.now() - 30_000, parent: null });
    const stream = rig.upstream.last.open({ at: 4 }).event(5).event(6);
    await rig.clock.settle();
    expect([rig.feed.state, rig.feed.hasAttached, attached.state]).toEqual(["catching_up", false, "waiting"]);
    expect(rig.upstream.asked).toHaveLength(1);
    stream.event(7);
    await rig.clock.settle();
    expect([rig.feed.state, rig.feed.hasAttached, attached.state]).toEqual(["attached", true, "done"]);
    expect(rig.told).toEqual(["attached"]);
    expect([rig.tail.name, rig.tail.head(), rig.feed.lostSince]).toEqual(["log-a", 7, null]);
  });

  it("is attached at once if the channel has no event", async () => {
    const rig = new Rig();
    const attached = outcomeOf(rig.feed.attach());
    await rig.clock.settle();
    rig.upstream.last.open();
    await rig.clock.settle();
    expect(attached.state).toBe("done");
  });

  it("does not stop to read while it asks for the head", async () => {
    const rig = new Rig();
    rig.upstream.answer = () => new Promise(() => {});
    void rig.feed.attach();
    await rig.clock.settle();
    const stream = rig.upstream.last.open().event(1);
    await rig.clock.settle();
    stream.event(2);
    await rig.clock.settle();
    expect(rig.tail.head()).toBe(2);
    rig.upstream.answer = () => historyPage({ next: 2, latest: 2 });
    await rig.clock.advance(10_000);
    expect(stream.isCancelled).toBe(true);
    const { stream: again } = await rig.next();
    again.open({ at: 2 });
    await rig.clock.settle();
    expect(rig.feed.state).toBe("attached");
  });

  it("gives the tail all events of a chunk, and then one advance", async () => {
    const rig = new Rig();
    const stream = await rig.attached(1);
    const before = rig.advances;
    const chunk = [2, 3, 4].map((seq) => {
      const data = `{"id":"${seq}","type":"tick","data":${seq},"published_at":"2026-01-29T10:00:00.000Z"}`;
      return `event: tick\nid: ${seq}\ndata: ${data}\n\n`;
    });
    stream.bytes(chunk.join(""));
    await rig.clock.settle();
    expect([rig.tail.head(), rig.advances - before]).toEqual([4, 1]);
  });

  it("takes data, project, agent and time as they were published", async () => {
    const rig = new Rig();
    const stream = await rig.attached(0);
    stream.event(1, { data: { "2": 1, "1": [1e21, "é\u2028"] }, project_id: "7", agent_id: "a" });
    await rig.clock.settle();
    const { bytes } = await rig.tail.page(
      0,
      createFilter({ fields: { project_id: ["7"] } }, "envelope"),
      1_000,
    );
    const [event] = decodeStream(bytes === null ? [] : [bytes]).events;
    expect(event?.data).toBe(
      '{"id":"1","type":"tick","data":{"1":[1e+21,"é\u2028"],"2":1},"project_id":"7","agent_id":"a","published_at":"2026-01-29T10:00:00.000Z"}',
    );
  });

  it("waits for a hub that cannot be reached, and makes its attempts at growing intervals", async () => {
    const rig = new Rig();
    const attached = outcomeOf(rig.feed.attach());
    const delays: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      await rig.clock.settle();
      rig.upstream.last.refuse(new TypeError("fetch failed"));
      delays.push((await rig.next()).afterMs);
    }
    expect(delays).toEqual([350, 600, 1_100, 2_100, 4_100, 5_100, 5_100, 5_100]);
    expect([attached.state, rig.told]).toEqual(["waiting", []]);
    expect(rig.logged("feed_lost")).toEqual(["unreachable"]);
    rig.upstream.last.open();
    await rig.clock.settle();
    expect(attached.state).toBe("done");
  });

  it("passes a refusal on to the clients that wait, and asks again for those that come later", async () => {
    const rig = new Rig();
    const first = outcomeOf(rig.feed.attach());
    await rig.clock.settle();
    rig.upstream.last.refuse(new HubError("limit", "Too many relays.", { retryAfterSeconds: 5 }));
    await rig.clock.settle();
    expect([first.state, rig.feed.state]).toEqual(["limit", "waiting"]);
    const second = outcomeOf(rig.feed.attach());
    await rig.clock.advance(999);
    expect([second.state, rig.upstream.streams.length]).toEqual(["limit", 1]);
    await rig.clock.advance(1);
    const third = outcomeOf(rig.feed.attach());
    await rig.clock.settle();
    expect([third.state, rig.upstream.streams.length]).toEqual(["waiting", 2]);
    rig.upstream.last.open();
    await rig.clock.settle();
    expect(third.state).toBe("done");
  });

  it.each([
    ["draining", "drain"],
    ["shutting_down", "shutdown"],
  ] as const)("closes if the hub refuses it with %s", async (code, reason) => {
    const rig = new Rig();
    const attached = outcomeOf(rig.feed.attach());
    await rig.clock.settle();
    rig.upstream.last.refuse(new HubError(code, "No.", { retryAfterSeconds: 5 }));
    await rig.clock.settle();
    expect([attached.state, rig.feed.state, rig.told]).toEqual([code, "closed", []]);
    // The clients of a relay that was attached have to leave.
    const stream = await rig.attached();
    stream.cut();
    (await rig.next()).stream.refuse(new HubError(code, "No."));
    await rig.clock.settle();
    expect(rig.feed.state).toBe("closed");
    expect(rig.told.at(-1)).toEqual(["ended", reason]);
  });
});

describe("a feed that has lost its stream", () => {
  it("resumes after the last event, in its log, and tells its relay of the loss once", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream.cut();
    await rig.clock.settle();
    const since = rig.clock.now();
    expect(rig.feed.lostSince).toBe(since);
    for (let attempt = 0; attempt < 3; attempt++) {
      (await rig.next()).stream.refuse(new TypeError("fetch failed"));
      await rig.clock.settle();
    }
    const { stream: next } = await rig.next();
    expect(next.from).toMatchObject({ cursor: 3, logName: "log-a" });
    expect([rig.told, rig.feed.lostSince, rig.feed.hasAttached]).toEqual([[["lost", since]], since, true]);
    rig.head = 5;
    next.open({ at: 3 }).event(4);
    await rig.clock.settle();
    expect([rig.feed.state, rig.feed.lostSince]).toEqual(["catching_up", since]);
    next.event(5);
    await rig.clock.settle();
    expect([rig.told.at(-1), rig.feed.lostSince]).toEqual(["attached", null]);
    expect((await rig.events()).map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it("lets clients in while the hub is away", async () => {
    const rig = new Rig();
    (await rig.attached()).cut();
    await rig.clock.settle();
    expect(rig.feed.state).toBe("waiting");
    await expect(rig.feed.attach()).resolves.toBeUndefined();
  });

  it("starts again with short delays after 10 s, and not before", async () => {
    const rig = new Rig();
    let stream = await rig.attached(3);
    const delays: number[] = [];
    for (const healthyMs of [0, 0, 9_999, 10_000, 0]) {
      await rig.clock.advance(healthyMs);
      stream.cut();
      const next = await rig.next();
      delays.push(next.afterMs);
      stream = next.stream.open({ at: 3 });
      await rig.clock.settle();
    }
    expect(delays).toEqual([350, 600, 1_100, 350, 600]);
  });

  it("waits for as long as the hub asks, and a random time more", async () => {
    const rig = new Rig();
    (await rig.attached()).close("max_age", 7_000);
    const { stream, afterMs } = await rig.next();
    expect(afterMs).toBe(7_350);
    stream.refuse(new HubError("rate_limited", "Too many.", { retryAfterSeconds: 20 }));
    expect((await rig.next()).afterMs).toBe(20_600);
    rig.upstream.last.open({ at: 3 }).close("slow_client", 1e300);
    expect((await rig.next()).afterMs).toBe(3_600_000 + 1_100);
    for (const nonsense of [-1, "5", null]) {
      rig.upstream.last.open({ at: 3 }).close("limit", nonsense);
      expect((await rig.next()).afterMs).toBeLessThanOrEqual(5_100);
    }
  });

  it.each(["drain", "shutdown", "replaced"] as const)(
    "to `close` (%s) closes and tells its relay",
    async (reason) => {
      const rig = new Rig();
      const stream = await rig.attached();
      stream.close(reason, 5_000).event(4);
      await rig.clock.advance(60_000);
      expect(rig.told).toEqual([["ended", reason]]);
      expect([rig.feed.state, rig.upstream.streams.length, rig.tail.head()]).toEqual(["closed", 1, 3]);
      expect([rig.feed.lostSince, rig.feed.hasAttached, rig.clock.timers]).toEqual([null, false, 0]);
    },
  );

  it("opens another one if the hub says that it has none, or another parent is to be followed", async () => {
    const rig = new Rig();
    const stream = await rig.attached();
    rig.feed.follow(null);
    await rig.clock.settle();
    expect(stream.isCancelled).toBe(false);
    rig.feed.reopen();
    const { stream: second } = await rig.next();
    expect([stream.isCancelled, second.from]).toMatchObject([true, { cursor: 3, parent: null }]);
    second.open({ at: 3 });
    await rig.clock.settle();
    rig.feed.follow("eu/1");
    expect((await rig.next()).stream.from).toMatchObject({ cursor: 3, parent: "eu/1" });
  });
});

describe("the order of the events of a feed", () => {
  it("drops an event that comes twice", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream.event(2, { data: "again" }).event(3, { data: "again" }).event(4).event(4, { data: "again" });
    await rig.clock.settle();
    const events = await rig.events();
    expect(events).toEqual([1, 2, 3, 4].map((seq) => [seq, `{"n":${seq}}`]));
    expect(rig.feed.state).toBe("attached");
  });

  it("never shows a hole: the stream is given up, and the next one resumes before the hole", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream.event(4).event(6).event(5);
    const { stream: next } = await rig.next();
    expect([rig.tail.head(), next.from.cursor, stream.isCancelled]).toEqual([4, 4, true]);
    expect(rig.logged("feed_lost")).toEqual(["broken"]);
  });

  it("takes nothing of a stream that was given up", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    rig.feed.reopen();
    stream.event(4);
    const { stream: next } = await rig.next();
    next.open({ at: 3 });
    stream.event(5);
    await rig.clock.settle();
    expect(rig.tail.head()).toBe(3);
    next.event(4).event(5);
    await rig.clock.settle();
    expect(rig.tail.head()).toBe(5);
  });

  it("takes nothing of a stream that begins after the feed was closed and opened again", async () => {
    const rig = new Rig();
    void rig.feed.attach();
    await rig.clock.settle();
    const late = rig.upstream.last;
    rig.feed.close();
    void rig.feed.attach();
    await rig.clock.settle();
    late.open({ log: "log-late", at: 70 }).event(71);
    await rig.clock.settle();
    expect([late.isCancelled, late.signal.aborted, rig.tail.name]).toEqual([true, true, ""]);
    rig.upstream.last.open();
    await rig.clock.settle();
    expect([rig.feed.state, rig.tail.name]).toEqual(["attached", "log-a"]);
  });

  it("takes the events between two streams from the history, if the next one begins later", async () => {
    const rig = new Rig();
    (await rig.attached(3)).cut();
    rig.head = 8;
    (await rig.next()).stream.open({ at: 7 }).event(8);
    await rig.clock.settle();
    expect([rig.tail.head(), rig.tail.generation, rig.tail.isInMemory(7), rig.tail.isInMemory(3)]).toEqual([
      8,
      1,
      true,
      false,
    ]);
    expect(rig.tail.oldest()).toBe(1);
  });
});

describe("a gap in a feed", () => {
  it("moves the tail on, and the events before it are gone", async () => {
    const rig = new Rig();
    (await rig.attached(3)).cut();
    rig.head = 21;
    (await rig.next()).stream.open({ at: 19, gap: true }).gap("expired", 20, 21).event(20).event(21);
    await rig.clock.settle();
    expect([rig.tail.head(), rig.tail.oldest(), rig.tail.generation]).toEqual([21, 20, 1]);
    expect(rig.feed.state).toBe("attached");
  });

  it("may come in the middle of a stream, and may leave nothing", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream.gap("expired", 8, 7);
    await rig.clock.settle();
    expect([rig.tail.head(), rig.tail.oldest()]).toEqual([7, 8]);
    stream.event(8);
    await rig.clock.settle();
    expect([rig.tail.head(), rig.tail.oldest()]).toEqual([8, 8]);
  });

  it("starts the tail anew if the hub has another log", async () => {
    const rig = new Rig();
    (await rig.attached(30)).cut();
    rig.head = 6;
    const { stream } = await rig.next();
    stream.open({ log: "log-b", at: 4, gap: true }).gap("unknown", 5, 6).event(5).event(6);
    await rig.clock.settle();
    expect([rig.tail.name, rig.tail.head(), rig.tail.oldest(), rig.tail.generation]).toEqual([
      "log-b",
      6,
      5,
      2,
    ]);
    expect(rig.feed.state).toBe("attached");
  });

  it("starts the tail anew if the log has lost its last events, although it has the same name", async () => {
    const rig = new Rig();
    (await rig.attached(30)).cut();
    rig.head = 6;
    const { stream } = await rig.next();
    stream.open({ at: 0, gap: true }).gap("unknown", 1, 6).event(1, { data: "restored" });
    await rig.clock.settle();
    expect([rig.tail.name, rig.tail.head(), rig.tail.generation]).toEqual(["log-a", 1, 2]);
    expect(await rig.events()).toEqual([[1, '"restored"']]);
  });

  it("of another log may come in the middle of the stream of a relay", async () => {
    const rig = new Rig();
    const stream = await rig.attached(30);
    rig.head = 1;
    stream.open({ log: "log-b", at: 0, gap: true }).gap("unknown", 1, 1).event(1);
    await rig.clock.settle();
    expect([rig.tail.name, rig.tail.head(), rig.tail.generation]).toEqual(["log-b", 1, 2]);
    expect([rig.upstream.streams.length, rig.feed.state]).toEqual([1, "attached"]);
  });
});

/** The introduction of a stream. */
function connected(data: unknown): string {
  return `event: connected\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The frame of an event. */
function eventFrame(id: string, envelope: unknown, type = "tick"): string {
  return `event: ${type}\nid: ${id}\ndata: ${JSON.stringify(envelope)}\n\n`;
}

describe("an upstream that sends what no hub sends", () => {
  const good = { id: "4", type: "tick", data: 1, published_at: "2026-01-29T10:00:00.000Z" };

  it.each<[string, string | Uint8Array]>([
    ["data that is no JSON", "event: tick\nid: 4\ndata: {\n\n"],
    ["a list", eventFrame("4", [good])],
    ["null", eventFrame("4", null)],
    ["no data", eventFrame("4", { ...good, data: undefined })],
    ["an id that is no number", eventFrame("x", { ...good, id: "x" })],
    ["an id with a fraction", eventFrame("4.5", { ...good, id: "4.5" })],
    ["an id of zero", eventFrame("0", { ...good, id: "0" })],
    ["a negative id", eventFrame("-4", { ...good, id: "-4" })],
    ["an id beyond the numbers", eventFrame("9007199254740993", { ...good, id: "9007199254740993" })],
    ["another id than its frame", eventFrame("4", { ...good, id: "5" })],
    ["another type than its frame", eventFrame("4", { ...good, type: "tock" })],
    ["a type that is none", eventFrame("4", { ...good, type: "a b" }, "a b")],
    ["a reserved type", eventFrame("4", { ...good, type: "gap" })],
    ["a time that is none", eventFrame("4", { ...good, published_at: "yesterday" })],
    ["no time", eventFrame("4", { ...good, published_at: undefined })],
    ["a text that is no text", eventFrame("4", { ...good, data: undefined, text: 7 })],
    ["a log without a name", connected({ log: "", last_event_id: "3" })],
    ["a log without an id", connected({ log: "log-a" })],
    ["an introduction that is no object", "event: connected\ndata: 1\n\n"],
    ["a gap without ids", "event: gap\nid: 9\ndata: {}\n\n"],
    [
      "a gap whose oldest id is after the latest",
      'event: gap\nid: 9\ndata: {"oldest_id":"10","latest_id":"9"}\n\n',
    ],
    ["a close that is no JSON", "event: close\ndata: }\n\n"],
    ["an endless line", "x".repeat(1024 * 1024 + 1)],
    ["an endless comment", `:${"x".repeat(1024 * 1024 + 1)}`],
    ["an endless frame", "data: x\n".repeat(200_000)],
  ])(
    "in an event or a frame, such as %s, is given up once, and nothing of it is delivered",
    async (_, bytes) => {
      const rig = new Rig();
      const stream = await rig.attached(3);
      stream.bytes(bytes).event(4);
      await rig.clock.settle();
      expect([rig.tail.head(), rig.tail.generation, stream.isCancelled]).toEqual([3, 1, true]);
      expect([rig.feed.state, rig.logged("feed_lost")]).toEqual(["waiting", ["broken"]]);
      const { stream: next } = await rig.next();
      next.open({ at: 3 }).event(4);
      await rig.clock.settle();
      expect(await rig.events()).toEqual([1, 2, 3, 4].map((seq) => [seq, `{"n":${seq}}`]));
    },
  );

  it("keeps the events before it in the same chunk", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream.bytes(eventFrame("4", good) + eventFrame("5", null) + eventFrame("5", { ...good, id: "5" }));
    await rig.clock.settle();
    expect(await rig.events()).toHaveLength(4);
    expect((await rig.next()).stream.from.cursor).toBe(4);
  });

  it("before it has introduced its log is not believed", async () => {
    for (const early of [
      eventFrame("1", { ...good, id: "1" }),
      'event: gap\nid: 0\ndata: {"oldest_id":"1","latest_id":"1","reason":"expired"}\n\n',
    ]) {
      const rig = new Rig();
      void rig.feed.attach();
      await rig.clock.settle();
      rig.upstream.last.accept().bytes(early);
      await rig.clock.settle();
      expect([rig.tail.name, rig.tail.head(), rig.feed.state]).toEqual(["", 0, "waiting"]);
    }
  });

  it("again and again is logged once, and is not asked in a loop", async () => {
    const rig = new Rig();
    (await rig.attached(3)).bytes("event: tick\nid: 4\ndata: {\n\n");
    await rig.clock.settle();
    const from = rig.clock.now();
    for (let attempt = 0; attempt < 20; attempt++) {
      (await rig.next()).stream.open({ at: 3 }).bytes("event: tick\nid: 4\ndata: {\n\n");
      await rig.clock.settle();
    }
    expect(rig.logged("feed_lost")).toEqual(["broken"]);
    expect(rig.clock.now() - from).toBeGreaterThan(60_000);
  });

  it("of a later version is believed: frames, members and fields that this relay does not know", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    stream
      .bytes(": heartbeat\n\n")
      .bytes("id: 3\n\n")
      .bytes("event: heartbeat\ndata: new\n\n")
      .bytes("event: notice\ndata: {}\n\n")
      .bytes('event: error\ndata: {"error_type":"log_read_failed"}\n\n')
      .event(4, { data: 1, headers: { a: 1 } });
    await rig.clock.settle();
    expect([rig.tail.head(), rig.feed.state]).toEqual([4, "attached"]);
  });

  it("may cut its bytes anywhere", async () => {
    const rig = new Rig();
    const stream = await rig.attached(3);
    const text = new TextEncoder().encode(eventFrame("4", { ...good, data: "é😀" }));
    for (const byte of text) {
      stream.bytes(Uint8Array.of(byte));
    }
    await rig.clock.settle();
    expect((await rig.events()).at(-1)).toEqual([4, '"é😀"']);
  });

  it("and cuts a frame in the middle loses nothing and delivers no half", async () => {
    const bytes = new TextEncoder().encode(eventFrame("4", good));
    for (const cut of [1, 10, 30, bytes.length - 1]) {
      const rig = new Rig();
      const stream = await rig.attached(3);
      stream.bytes(bytes.slice(0, cut)).end();
      const { stream: next } = await rig.next();
      expect([rig.tail.head(), next.from.cursor]).toEqual([3, 3]);
    }
  });
});

describe("the watchdog of a feed", () => {
  it("gives up a stream that is silent for 2.5 heartbeats of its hub, when the alarm rings", async () => {
    const rig = new Rig();
    await rig.attached();
    expect(rig.feed.nextDue()).toBe(rig.clock.now() + 75_000);
    await rig.clock.advance(74_999);
    rig.feed.check(rig.clock.now());
    expect(rig.feed.state).toBe("attached");
    await rig.clock.advance(1);
    rig.feed.check(rig.clock.now());
    expect([rig.feed.state, rig.logged("feed_lost")]).toEqual(["waiting", ["silent"]]);
    expect(rig.upstream.streams[0]?.isCancelled).toBe(true);
  });

  it("is quiet while whole frames arrive, and half a frame does not count", async () => {
    const rig = new Rig();
    const stream = await rig.attached();
    for (let round = 0; round < 5; round++) {
      await rig.clock.advance(70_000);
      stream.bytes(": heartbeat\n\n");
      await rig.clock.settle();
      rig.feed.check(rig.clock.now());
    }
    expect(rig.feed.state).toBe("attached");
    for (let round = 0; round < 5; round++) {
      await rig.clock.advance(20_000);
      stream.bytes("x");
      await rig.clock.settle();
      rig.feed.check(rig.clock.now());
    }
    expect(rig.feed.state).toBe("waiting");
  });

  it("knows the heartbeat interval that the hub tells, and its own if that is not plausible", async () => {
    const told: [unknown, number][] = [
      [5, 12_500],
      [3_600, 9_000_000],
      [0, 75_000],
      [-5, 75_000],
      [1e9, 75_000],
      ["5", 75_000],
      [null, 75_000],
    ];
    for (const [heartbeatSeconds, silentMs] of told) {
      const rig = new Rig();
      void rig.feed.attach();
      await rig.clock.settle();
      rig.upstream.last.open({ heartbeatSeconds });
      await rig.clock.settle();
      expect(rig.feed.nextDue()).toBe(rig.clock.now() + silentMs);
    }
  });

  it("gives up a hub that does not begin a stream within 15 s, or never introduces itself", async () => {
    for (const sent of [[], [": heartbeat\n\n"]]) {
      const rig = new Rig();
      void rig.feed.attach();
      await rig.clock.advance(10_000);
      sent.forEach((bytes) => rig.upstream.last.accept().bytes(bytes));
      await rig.clock.advance(4_999);
      rig.feed.check(rig.clock.now());
      expect(rig.feed.state).toBe("opening");
      await rig.clock.advance(1);
      rig.feed.check(rig.clock.now());
      expect([rig.feed.state, rig.upstream.last.signal.aborted]).toEqual(["waiting", true]);
    }
  });

  it("makes an attempt that is overdue, because timers of an idle object may not ring", async () => {
    const rig = new Rig();
    rig.clock.after = () => () => {};
    (await rig.attached()).cut();
    await rig.clock.settle();
    expect(rig.feed.nextDue()).toBe(rig.clock.now() + 350);
    await rig.clock.advance(349);
    rig.feed.check(rig.clock.now());
    expect(rig.upstream.streams).toHaveLength(1);
    await rig.clock.advance(1);
    rig.feed.check(rig.clock.now());
    expect(rig.upstream.streams).toHaveLength(2);
  });

  it("bears a clock that jumps", async () => {
    const rig = new Rig();
    await rig.attached();
    rig.clock.setBack(3_600_000);
    rig.feed.check(rig.clock.now());
    expect(rig.feed.nextDue()).toBe(rig.clock.now() + 75_000);
    await rig.clock.advance(75_000);
    rig.feed.check(rig.clock.now());
    expect(rig.feed.state).toBe("waiting");
    rig.clock.setBack(3_600_000);
    rig.feed.check(rig.clock.now());
    expect(rig.feed.nextDue()).toBe(rig.clock.now() + 350);
  });
});

describe("a feed that is closed", () => {
  it("ends its stream, refuses the clients that wait, and sets nothing", async () => {
    const rig = new Rig();
    const attached = outcomeOf(rig.feed.attach());
    await rig.clock.settle();
    const stream = rig.upstream.last.accept();
    await rig.clock.settle();
    rig.feed.close();
    await rig.clock.advance(60_000);
    expect([attached.state, stream.isCancelled, rig.feed.state]).toEqual(["hub_unreachable", true, "closed"]);
    expect([rig.feed.nextDue(), rig.upstream.streams.length, rig.told, rig.clock.timers]).toEqual([
      Infinity,
      1,
      [],
      0,
    ]);
  });

  it("makes no attempt that was due", async () => {
    const rig = new Rig();
    (await rig.attached()).cut();
    await rig.clock.settle();
    rig.feed.close();
    rig.feed.check(rig.clock.now() + 60_000);
    await rig.clock.advance(60_000);
    expect(rig.upstream.streams).toHaveLength(1);
  });

  it("starts 30 s in the past again, and does not trust what the tail has", async () => {
    const rig = new Rig();
    await rig.attached(30);
    rig.feed.close();
    await rig.clock.advance(3_600_000);
    rig.head = 12;
    void rig.feed.attach();
    await rig.clock.settle();
    expect(rig.upstream.last.from).toMatchObject({ cursor: null, since: rig.clock.now() - 30_000 });
    // The log was restored from a backup: its ids are used again.
    rig.upstream.last.open({ at: 11 }).event(12, { data: "restored" });
    await rig.clock.settle();
    expect([rig.feed.state, rig.tail.head(), rig.tail.generation]).toEqual(["attached", 12, 2]);
    expect(rig.tail.isInMemory(11)).toBe(true);
    expect(rig.tail.isInMemory(10)).toBe(false);
  });
});
