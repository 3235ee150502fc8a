import { describe, expect, it } from "vitest";

import { HubError } from "../../../src/hub/errors.ts";
import { createFilter, type Filter } from "../../../src/hub/filter.ts";
import type { NewEvent } from "../../../src/hub/log/event-log.ts";
import type { HistoryPage } from "../../../src/hub/log/history.ts";
import type { HistoryRequest } from "../../../src/hub/log/ledger.ts";
import type { Page, Start, StartRequest } from "../../../src/hub/log/log-view.ts";
import { withSize } from "../../../src/relay/envelope.ts";
import { Tail, type TailBounds } from "../../../src/relay/tail.ts";
import { FakeHub } from "../../support/hub/fake-hub.ts";
import { decodeStream } from "../../support/hub/frames.ts";
import { newEvent, newEvents } from "../../support/hub/new-event.ts";
import { outcomeOf, type Outcome } from "../../support/hub/outcome.ts";
import { eventsOf } from "../../support/hub/read-log.ts";
import { ScriptedUpstream } from "../../support/relay/scripted-upstream.ts";

const ALL = createFilter({});
const BOUNDS: TailBounds = { maxEvents: 1_000, maxBytes: 1024 * 1024 };

/** A hub and the tail of a relay that is fed by hand. */
class Rig {
  readonly hub: FakeHub;
  readonly upstream = new ScriptedUpstream();
  readonly tail: Tail;

  constructor(bounds: Partial<TailBounds> = {}, retention: Partial<FakeHub["settings"]["retention"]> = {}) {
    const base = { maxEvents: 100_000, maxAgeMs: 86_400_000, maxBytes: 1024 ** 3 };
    this.hub = new FakeHub({ settings: { retention: { ...base, ...retention } } });
    this.hub.log.create();
    this.upstream.answer = (request) => this.hub.hub.history(request);
    const settings = { tail: { ...BOUNDS, ...bounds }, retention: this.hub.settings.retention };
    this.tail = new Tail(this.upstream, settings, this.hub.clock);
  }

  get logName(): string {
    return this.hub.log.name ?? "";
  }

  /** Publishes events. The tail does not get them. */
  async publish(events: number | readonly NewEvent[]): Promise<void> {
    await this.hub.publish(events);
  }

  /** The tail begins after a cursor, and gets everything after it. */
  attach(cursor = this.hub.log.head): void {
    this.tail.begin(this.logName, cursor, 1);
    this.feed();
  }

  /** The tail gets what it does not have. */
  feed(): void {
    for (const event of eventsOf(this.hub.log, this.tail.head())) {
      this.tail.push(withSize(event));
    }
    this.tail.advance();
  }

  /** Runs everything that the value waits for. */
  async settled<Value>(value: Value | Promise<Value>): Promise<Value> {
    const [settled] = await Promise.all([value, this.hub.clock.settle()]);
    return settled;
  }

  start(request: Partial<StartRequest>): Promise<Start> {
    return this.settled(this.tail.start({ lastEventId: null, logName: null, since: null, ...request }));
  }

  page(after: number, filter: Filter = ALL, maxBytes = 16 * 1024): Promise<Page> {
    return this.settled(this.tail.page(after, filter, maxBytes));
  }

  /** All ids that a client gets from a cursor to the head. */
  async walk(from: number, filter: Filter = ALL, maxBytes = 16 * 1024): Promise<number[]> {
    const ids: number[] = [];
    for (let cursor = from; cursor < this.tail.head();) {
      const page = await this.page(cursor, filter, maxBytes);
      if (page.cursor <= cursor) {
        throw new Error(`the page after ${cursor} moves nothing`);
      }
      ids.push(...idsOf(page));
      cursor = page.cursor;
    }
    return ids;
  }
}

function textOf({ bytes }: Page): string {
  return decodeStream(bytes === null ? [] : [bytes]).text;
}

function idsOf({ bytes }: Page): number[] {
  return decodeStream(bytes === null ? [] : [bytes]).events.map(({ id }) => Number(id));
}

function upTo(last: number, from = 1): number[] {
  return Array.from({ length: last - from + 1 }, (_, index) => from + index);
}

describe("the start of a client at a relay", () => {
  it("is the head of the tail for a client that brings nothing", async () => {
    const rig = new Rig();
    await rig.publish(5);
    rig.attach();
    expect(await rig.start({})).toEqual({ cursor: 5, gap: null, generation: 1 });
    expect(rig.upstream.asked).toEqual([]);
  });

  it("is its id if the tail has what follows, and the hub is not asked", async () => {
    const rig = new Rig();
    await rig.publish(5);
    rig.attach(3);
    for (const id of [3, 4, 5]) {
      expect(await rig.start({ lastEventId: String(id), logName: rig.logName })).toMatchObject({
        cursor: id,
      });
      expect(await rig.start({ lastEventId: String(id) })).toMatchObject({ cursor: id });
    }
    expect(rig.upstream.asked).toEqual([]);
  });

  it("is the one that the hub would choose, for every other request", async () => {
    const rig = new Rig({}, { maxEvents: 20 });
    await rig.publish(10);
    await rig.hub.clock.advance(60_000);
    await rig.publish(20);
    await rig.hub.clock.advance(60_000);
    await rig.publish(5);
    rig.attach(33);
    const requests: Partial<StartRequest>[] = [
      { lastEventId: "20" },
      { lastEventId: "32", logName: rig.logName },
      { lastEventId: "2" },
      { lastEventId: "34", logName: "another" },
      { lastEventId: "36" },
      { lastEventId: "nonsense" },
      { lastEventId: "-1" },
      { lastEventId: "9999999999999999" },
      { since: "earliest" },
      { since: "oldest" },
      { since: rig.hub.clock.now() - 30_000 },
      { since: rig.hub.clock.now() - 90_000 },
      { since: rig.hub.clock.now() - 600_000 },
      { since: rig.hub.clock.now() + 600_000 },
    ];
    for (const request of requests) {
      const stream = await rig.hub.connect({ ...request, logName: request.logName ?? null });
      const [connected, gap] = stream.seen.events.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
      const start = await rig.start(request);
      expect([request, String(start.cursor)]).toEqual([request, connected.last_event_id]);
      expect([request, start.gap?.reason]).toEqual([request, gap?.type === "gap" ? gap.reason : undefined]);
      expect([request, start.gap?.requestedId]).toEqual([
        request,
        gap?.type === "gap" ? gap.requested_id : undefined,
      ]);
    }
  });

  it("is an error if the hub is away and the tail does not know it", async () => {
    const rig = new Rig();
    await rig.publish(5);
    const unknown = { lastEventId: null, logName: null, since: null };
    await expect(rig.tail.start(unknown)).rejects.toMatchObject({ code: "hub_unreachable" });
    rig.attach(3);
    rig.upstream.answer = () => Promise.reject(new Error("the object was reset"));
    await expect(rig.start({ lastEventId: "1" })).rejects.toMatchObject({ code: "hub_unreachable" });
    await expect(rig.start({ since: "earliest" })).rejects.toMatchObject({ code: "hub_unreachable" });
    expect(await rig.start({ lastEventId: "4" })).toMatchObject({ cursor: 4 });
  });

  it("is found again if the log is replaced while the hub is asked", async () => {
    const rig = new Rig();
    await rig.publish(50);
    rig.attach();
    const { promise, resolve } = Promise.withResolvers<HistoryPage>();
    rig.upstream.answer = () => promise;
    const start = outcomeOf(rig.start({ since: "oldest" }));
    await rig.hub.clock.settle();
    const answer = await rig.hub.hub.history(rig.upstream.asked[0] as HistoryRequest);
    rig.tail.begin("another", 7, 8);
    rig.upstream.answer = () => ({ events: [], next: 7, more: false, oldest: null, latest: 7, gap: null });
    resolve(answer);
    await rig.hub.clock.settle();
    expect(start.value).toEqual({ cursor: 7, gap: null, generation: 2 });
  });
});

describe("a page of the tail", () => {
  it("comes from memory at once, and is the page of the hub", async () => {
    const rig = new Rig();
    await rig.publish([newEvent({ type: "a", projectId: "7", data: '{"n":1}' }), newEvent({ type: "b" })]);
    rig.attach(0);
    for (const terms of [{}, { types: ["a"] }, { projectIds: ["7"] }, { types: ["c"] }]) {
      const page = rig.tail.page(0, createFilter(terms), 1_000);
      expect(page).not.toBeInstanceOf(Promise);
      const hub = await rig.hub.connect({ terms, lastEventId: 0 });
      expect(idsOf(await page)).toEqual(hub.ids);
    }
    expect(rig.upstream.asked).toEqual([]);
  });

  it("is empty at the head", async () => {
    const rig = new Rig();
    await rig.publish(3);
    rig.attach();
    expect(await rig.page(3)).toMatchObject({ bytes: null, cursor: 3 });
  });

  it("before the tail comes from the hub, with the filter of the client, and is a replay", async () => {
    const rig = new Rig();
    await rig.publish(newEvents(10, { type: "a" }));
    await rig.publish(newEvents(10, { type: "b" }));
    rig.attach();
    const filter = createFilter({ types: ["b"] });
    const page = await rig.page(0, filter);
    expect([idsOf(page), page.cursor, page.publishedAt]).toEqual([upTo(20, 11), 20, null]);
    expect(rig.upstream.asked).toMatchObject([
      { terms: { types: ["b"] }, start: { lastEventId: "0", logName: rig.logName } },
    ]);
  });

  it("before the tail has the bytes of the hub's page, whatever the form", async () => {
    const rig = new Rig();
    const data = '{"a":[1,-0,1e300,"é 😀 \\u2028"],"__proto__":1}';
    await rig.publish([
      newEvent({ type: "a", projectId: "7", agentId: "é", data: JSON.stringify(JSON.parse(data)) }),
    ]);
    for (const form of ["data", "envelope"] as const) {
      const filter = createFilter({}, form);
      rig.attach(0);
      const inMemory = textOf(await rig.page(0, filter));
      rig.attach();
      expect(textOf(await rig.page(0, filter))).toBe(inMemory);
      expect(inMemory).toContain("event: a\nid: 1\n");
    }
  });

  it("is never larger than its bound, before the tail and in it, unless one event is", async () => {
    const rig = new Rig();
    await rig.publish(newEvents(50, { data: JSON.stringify("é".repeat(1_000)) }));
    await rig.publish(newEvents(2, { data: JSON.stringify("x".repeat(40_000)) }));
    for (const start of [0, 52]) {
      rig.attach(start);
      for (const form of ["data", "envelope"] as const) {
        const sizes: number[] = [];
        for (let cursor = 0; cursor < 52;) {
          const page = await rig.page(cursor, createFilter({}, form));
          sizes.push(page.bytes?.byteLength ?? 0);
          cursor = page.cursor;
        }
        expect(Math.max(...sizes.slice(0, -2))).toBeLessThanOrEqual(16 * 1024);
        expect(sizes.filter((size) => size > 16 * 1024)).toHaveLength(2);
      }
    }
  });

  it("is cut from one answer of the hub that fills many pages", async () => {
    const rig = new Rig();
    await rig.publish(newEvents(1_500, { data: JSON.stringify("x".repeat(200)) }));
    rig.attach();
    expect(await rig.walk(0)).toEqual(upTo(1_500));
    expect(rig.upstream.asked.length).toBeLessThanOrEqual(2);
  });

  it("is not cut from an answer that begins after the cursor, or that is for another filter", async () => {
    const rig = new Rig();
    await rig.publish(newEvents(1_500, { data: JSON.stringify("x".repeat(200)) }));
    rig.attach();
    expect(await rig.walk(700, createFilter({ types: ["tick"] }))).toEqual(upTo(1_500, 701));
    expect(await rig.walk(300, createFilter({ types: ["tick"] }))).toEqual(upTo(1_500, 301));
    expect(await rig.walk(300, createFilter({ types: ["other"] }))).toEqual([]);
  });

  it("holds an answer for a short time only", async () => {
    const rig = new Rig();
    await rig.publish(newEvents(1_000, { data: JSON.stringify("x".repeat(200)) }));
    rig.attach();
    await rig.page(0);
    await rig.hub.clock.advance(4_000);
    await rig.page(40);
    expect(rig.upstream.asked).toHaveLength(1);
    await rig.hub.clock.advance(2_000);
    await rig.page(80);
    expect(rig.upstream.asked).toHaveLength(2);
  });

  it("that many clients ask for at a time is one question", async () => {
    const rig = new Rig();
    await rig.publish(10);
    rig.attach();
    const pages = [1, 2, 3].map((factor) => rig.tail.page(0, createFilter({}), factor * 1_000));
    await rig.hub.clock.settle();
    expect((await Promise.all(pages)).map(idsOf).map((ids) => ids[0])).toEqual([1, 1, 1]);
    expect(rig.upstream.asked).toHaveLength(1);
  });

  it("lets the next ones of a crowd wait, so that one relay does not fill the queue of its hub", async () => {
    const rig = new Rig();
    await rig.publish(100);
    rig.attach();
    let open = 0;
    let most = 0;
    rig.upstream.answer = async (request) => {
      most = Math.max(most, ++open);
      const answer = await rig.hub.hub.history(request);
      open--;
      return answer;
    };
    const starts = upTo(99, 0).map((id) => rig.start({ lastEventId: String(id) }));
    expect((await Promise.all(starts)).map(({ cursor }) => cursor)).toEqual(upTo(99, 0));
    expect(most).toBe(8);
  });

  it("moves nothing if the events are gone, and then the oldest id is that of the hub", async () => {
    const rig = new Rig({}, { maxEvents: 10 });
    await rig.publish(30);
    await rig.hub.clock.advance(60_000);
    expect(rig.hub.log.oldest).toBe(21);
    rig.attach();
    expect(rig.tail.oldest()).toBe(1);
    expect(await rig.page(5)).toMatchObject({ bytes: null, cursor: 5, events: 0 });
    expect(rig.tail.oldest()).toBe(21);
    expect(idsOf(await rig.page(20))).toEqual(upTo(30, 21));
  });
});

describe("the memory of a tail", () => {
  it("is bounded by number and by bytes, and older events come from the hub", async () => {
    for (const bounds of [{ maxEvents: 20 }, { maxBytes: 20_000 }]) {
      const rig = new Rig(bounds);
      rig.attach();
      for (let round = 0; round < 20; round++) {
        await rig.publish(newEvents(10, { data: JSON.stringify("x".repeat(1_000)) }));
        rig.feed();
        expect(rig.tail.bytes).toBeLessThanOrEqual(bounds.maxBytes ?? 20 * 1_100);
      }
      expect(rig.tail.isInMemory(185)).toBe(true);
      expect(rig.tail.isInMemory(170)).toBe(false);
      expect(await rig.walk(0)).toEqual(upTo(200));
    }
  });

  it("never holds more than the hub keeps", async () => {
    const rig = new Rig({}, { maxEvents: 10 });
    rig.attach();
    await rig.publish(30);
    rig.feed();
    expect([rig.tail.isInMemory(19), rig.tail.isInMemory(20)]).toEqual([false, true]);
  });

  it("holds no event that is too old for the history", async () => {
    const rig = new Rig({}, { maxAgeMs: 60_000 });
    rig.attach();
    await rig.publish(5);
    rig.feed();
    await rig.hub.clock.advance(59_000);
    await rig.publish(5);
    rig.feed();
    expect(rig.tail.isInMemory(0)).toBe(true);
    await rig.hub.clock.advance(2_000);
    expect([rig.tail.isInMemory(4), rig.tail.isInMemory(5)]).toEqual([false, true]);
    expect(await rig.page(2)).toMatchObject({ bytes: null, cursor: 2 });
    expect(rig.tail.oldest()).toBe(6);
    expect(await rig.start({ lastEventId: "2" })).toMatchObject({ cursor: 5, gap: { reason: "expired" } });
  });

  it("starts anew with another log, and asks for nothing of the old one", async () => {
    const rig = new Rig();
    await rig.publish(50);
    rig.attach(0);
    rig.tail.begin("another", 7, 8);
    expect([rig.tail.name, rig.tail.head(), rig.tail.oldest(), rig.tail.generation]).toEqual([
      "another",
      7,
      8,
      2,
    ]);
    expect(rig.tail.isInMemory(6)).toBe(false);
    // The hub has the old log.
    await expect(rig.page(5)).rejects.toThrow("another log");
  });

  it("has a hole after a skip, which is filled by the hub", async () => {
    const rig = new Rig();
    rig.attach();
    await rig.publish(10);
    rig.feed();
    await rig.publish(40);
    rig.tail.skipTo(40);
    rig.feed();
    expect(await rig.walk(3)).toEqual(upTo(50, 4));
    rig.tail.skipTo(20);
    expect(rig.tail.head()).toBe(50);
  });
});

/** The page that a tail makes of an answer of its hub, in which something is changed. */
async function ask(answer: Partial<HistoryPage>, filter = ALL): Promise<Page> {
  const rig = new Rig();
  await rig.publish(10);
  rig.attach();
  const whole = await rig.hub.hub.history({
    terms: {},
    start: { lastEventId: "2", logName: null, since: null },
    limit: 5,
    address: null,
  });
  rig.upstream.answer = () => ({ ...whole, ...answer });
  return rig.page(2, filter);
}

describe("a hub that answers a tail", () => {
  it("with a part of the events is believed", async () => {
    expect(idsOf(await ask({}))).toEqual([3, 4, 5, 6, 7]);
  });

  it.each<[string, Partial<HistoryPage>]>([
    ["nothing, although there is something", { events: [], next: 2 }],
    ["fewer events than it has scanned", { next: 8 }],
    ["an end before the start", { events: [], next: 1 }],
    ["an end that is no number", { next: Number.NaN }],
    ["no event up to an end", { events: [] }],
    [
      "a gap that is none",
      { events: [], next: 2, gap: { reason: "expired", requestedId: "2", oldest: 3, latest: 10 } },
    ],
  ])("with %s is not believed, and is not asked again at once", async (_, answer) => {
    await expect(ask(answer)).rejects.toThrow(/are missing|has nothing/);
  });

  it("with events in the wrong order, twice, or of another filter is not believed", async () => {
    const rig = new Rig();
    await rig.publish(10);
    const events = eventsOf(rig.hub.log, 2);
    const [first, second, third] = events;
    await expect(
      ask({ events: [second, first, third].flatMap((each) => each ?? []), next: 5 }),
    ).rejects.toThrow("does not belong");
    await expect(
      ask({ events: [first, first, second].flatMap((each) => each ?? []), next: 5 }),
    ).rejects.toThrow("does not belong");
    await expect(
      ask({ events: events.slice(0, 1), next: 10 }, createFilter({ types: ["b"] })),
    ).rejects.toThrow("does not belong");
  });

  it("late is not waited for", async () => {
    const rig = new Rig();
    await rig.publish(10);
    rig.attach();
    rig.upstream.answer = () => new Promise(() => {});
    const { timers } = rig.hub.clock;
    const page = outcomeOf(Promise.resolve(rig.tail.page(0, ALL, 1_000)));
    const start = outcomeOf(rig.tail.start({ lastEventId: "1", logName: null, since: null }));
    await rig.hub.clock.advance(9_999);
    expect([page.state, start.state]).toEqual(["waiting", "waiting"]);
    await rig.hub.clock.advance(1);
    expect([page.state, start.state]).toEqual(["hub_unreachable", "hub_unreachable"]);
    expect(rig.hub.clock.timers).toBe(timers);
  });

  it("never leaves only a bounded number of questions waiting", async () => {
    const rig = new Rig();
    await rig.publish(10);
    rig.attach();
    rig.upstream.answer = () => new Promise(() => {});
    const starts: Outcome<Start>[] = [];
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 100; n++) {
        starts.push(outcomeOf(rig.start({ lastEventId: `${round} ${n}` })));
      }
      await rig.hub.clock.advance(1);
    }
    expect(starts.filter(({ state }) => state === "busy")).toHaveLength(2_000 - 1_008);
    await rig.hub.clock.advance(20_000);
    expect(starts.filter(({ state }) => state === "waiting")).toEqual([]);
    rig.upstream.answer = (request) => rig.hub.hub.history(request);
    expect(await rig.start({ lastEventId: "1" })).toMatchObject({ cursor: 1 });
  });

  it("by a refusal passes it on", async () => {
    const rig = new Rig();
    await rig.publish(10);
    rig.attach();
    rig.upstream.answer = () => Promise.reject(new HubError("busy", "Too many."));
    await expect(rig.start({ lastEventId: "1" })).rejects.toMatchObject({ code: "busy" });
    await expect(rig.page(1)).rejects.toMatchObject({ code: "busy" });
  });
});
