import { describe, expect, it } from "vitest";

import type { HistoryPage } from "../../../../src/hub/log/history.ts";
import type { StartRequest } from "../../../../src/hub/log/log-view.ts";
import type { FilterTerms } from "../../../../src/hub/filter.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";
import { newEvent, newEvents } from "../../../support/hub/new-event.ts";

interface Asked {
  readonly after?: string | number;
  readonly since?: StartRequest["since"];
  readonly logName?: string | null;
  readonly limit?: number;
  readonly terms?: FilterTerms;
}

async function read(hub: FakeHub, asked: Asked = {}): Promise<HistoryPage> {
  const { after = null, since = "oldest", logName = null, limit = 100, terms = {} } = asked;
  const lastEventId = after === null ? null : String(after);
  const start = { lastEventId, logName, since };
  const reading = hub.hub.history({ start, terms, limit, address: null });
  await hub.clock.settle();
  return reading;
}

function idsOf(page: HistoryPage): number[] {
  return page.events.map(({ seq }) => seq);
}

/** Reads until there is nothing more, like a client of the HTTP route. */
async function readAll(hub: FakeHub, asked: Asked): Promise<{ ids: number[]; reads: number }> {
  const ids: number[] = [];
  let page = await read(hub, asked);
  let reads = 1;
  for (ids.push(...idsOf(page)); page.more; ids.push(...idsOf(page))) {
    expect(reads++).toBeLessThan(1_000);
    page = await read(hub, { ...asked, after: page.next });
  }
  return { ids, reads };
}

describe("the history", () => {
  it("starts with the oldest event, and gives the last id that was scanned", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    expect(await read(hub, { limit: 4 })).toMatchObject({
      next: 4,
      more: true,
      oldest: 1,
      latest: 10,
      gap: null,
    });
    expect(idsOf(await read(hub, { limit: 4 }))).toEqual([1, 2, 3, 4]);
    expect(idsOf(await read(hub, { after: 4, limit: 100 }))).toEqual([5, 6, 7, 8, 9, 10]);
    expect(await read(hub, { after: 4 })).toMatchObject({ next: 10, more: false });
    expect(await read(hub, { after: 10 })).toMatchObject({ events: [], next: 10, more: false });
  });

  it("of an empty channel is empty", async () => {
    expect(await read(new FakeHub())).toEqual({
      events: [],
      next: 0,
      more: false,
      oldest: null,
      latest: 0,
      gap: null,
    });
  });

  it("of a channel that was trimmed to nothing continues after its head", async () => {
    const hub = new FakeHub();
    await hub.publish(5);
    hub.log.trim(5);
    expect(await read(hub)).toMatchObject({
      events: [],
      next: 5,
      more: false,
      oldest: null,
      latest: 5,
      gap: null,
    });
    expect(await read(hub, { after: 2 })).toMatchObject({
      next: 5,
      gap: { reason: "expired", requestedId: "2" },
    });
  });

  it("carries every field as it was stored", async () => {
    const hub = new FakeHub();
    await hub.publish([newEvent({ type: "a", data: '{"x":"€"}', fields: { project_id: "7" } })]);
    expect((await read(hub)).events).toMatchObject([
      { seq: 1, type: "a", data: '{"x":"€"}', fields: { project_id: "7" }, publishedAt: hub.clock.now() },
    ]);
  });

  it("is filtered like a stream, and next moves past hidden events", async () => {
    const hub = new FakeHub();
    await hub.publish([
      newEvent({ type: "a" }),
      newEvent({ type: "b", fields: { project_id: "7" } }),
      newEvent({ type: "a" }),
    ]);
    const page = await read(hub, { terms: { types: ["b"], fields: { project_id: ["7"] } } });
    expect([idsOf(page), page.next, page.more]).toEqual([[2], 3, false]);
    const limited = await read(hub, { terms: { types: ["a"] }, limit: 1 });
    expect([idsOf(limited), limited.next, limited.more]).toEqual([[1], 1, true]);
  });

  it("reaches its end in bounded answers even if the filter hides everything", async () => {
    const hub = new FakeHub();
    for (let count = 0; count < 30; count++) {
      await hub.publish(1_000);
    }
    hub.log.eventsRead = 0;
    const first = await read(hub, { terms: { types: ["other"] } });
    expect(hub.log.eventsRead).toBeLessThan(16_000);
    expect([first.events.length, first.more]).toEqual([0, true]);
    const all = await readAll(hub, { terms: { types: ["other"] } });
    expect([all.ids, all.reads <= 4]).toEqual([[], true]);
  });

  it.each([
    ["types", { types: ["seen"] }],
    ["projects", { fields: { project_id: ["7"] } }],
  ])("filtered by %s ends at the same id, whatever the size of the hidden events", async (_, terms) => {
    const pages = [];
    for (const data of ["1", JSON.stringify("x".repeat(60_000))]) {
      const hub = new FakeHub();
      const hidden = newEvents(30, { type: "hidden", fields: { project_id: "8" }, data });
      const seen = newEvent({ type: "seen", fields: { project_id: "7" } });
      for (let count = 0; count < 400; count++) {
        await hub.publish(count === 390 ? [seen, ...hidden] : hidden);
      }
      const found: unknown[] = [];
      for (let next = 0, more = true; more;) {
        const page = await read(hub, { terms, after: next });
        ({ next, more } = page);
        found.push([idsOf(page), next, more]);
      }
      pages.push(found);
    }
    expect(pages[0]).toEqual([
      [[], 10_000, true],
      [[11_701], 12_001, false],
    ]);
    expect(pages[1]).toEqual(pages[0]);
  });

  it("does not read the data or other unneeded fields of hidden events", async () => {
    const hub = new FakeHub();
    await hub.publish([...newEvents(20), newEvent({ type: "seen" })]);
    hub.log.read = () => {
      throw new Error("the data of hidden events was read");
    };
    expect(idsOf(await read(hub, { terms: { types: ["seen"] } }))).toEqual([21]);
  });

  it("ends with the last event that fits, not with hidden events after it", async () => {
    const hub = new FakeHub();
    const seen = newEvent({ type: "seen", data: JSON.stringify("x".repeat(60_000)) });
    for (let count = 0; count < 30; count++) {
      await hub.publish([seen, ...newEvents(9)]);
    }
    const page = await read(hub, { terms: { types: ["seen"] } });
    expect([page.events.length, page.next, page.more]).toEqual([17, 161, true]);
    const all = await readAll(hub, { terms: { types: ["seen"] } });
    expect(all.ids).toEqual(Array.from({ length: 30 }, (_, index) => 10 * index + 1));
  });

  it("is read in steps, and publishing goes on between them", async () => {
    const hub = new FakeHub();
    for (let count = 0; count < 10; count++) {
      await hub.publish(1_000);
    }
    const order: string[] = [];
    const start = { lastEventId: null, logName: null, since: "earliest" } as const;
    const reading = hub.hub.history({ start, terms: { types: ["other"] }, limit: 1, address: null });
    const readings = reading.then(() => order.push("read"));
    const publishing = hub.hub.publish(newEvents(1), null).then(() => order.push("published"));
    await hub.clock.settle();
    await Promise.all([readings, publishing]);
    expect(order).toEqual(["published", "read"]);
    expect(await reading).toMatchObject({ events: [], next: 10_000, more: false, latest: 10_000 });
  });

  it("ends before events that are trimmed between two steps, and the next answer has a gap", async () => {
    const hub = new FakeHub();
    for (let count = 0; count < 5; count++) {
      await hub.publish(1_000);
    }
    const start = { lastEventId: "0", logName: null, since: null };
    const reading = hub.hub.history({ start, terms: { types: ["other"] }, limit: 1, address: null });
    hub.log.trim(3_000);
    await hub.clock.settle();
    const page = await reading;
    expect(page).toMatchObject({ events: [], next: 500, more: true, oldest: 3_001, gap: null });
    expect((await read(hub, { after: page.next })).gap).toMatchObject({ reason: "expired", oldest: 3_001 });
  });

  it("answers at most 1 MiB at a time, and everything in the end", async () => {
    const hub = new FakeHub();
    await hub.publish(newEvents(60, { data: JSON.stringify("€".repeat(20_000)) }));
    const page = await read(hub, { limit: 1_000 });
    const bytes = new TextEncoder().encode(JSON.stringify(page)).byteLength;
    expect(page.events.length).toBeGreaterThan(14);
    expect(bytes - page.events.length * 60).toBeLessThanOrEqual(1024 * 1024);
    expect((await readAll(hub, { limit: 1_000 })).ids).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });

  it("always makes progress, even with events of the largest size", async () => {
    const hub = new FakeHub();
    await hub.publish(newEvents(40, { data: JSON.stringify("x".repeat(65_530)) }));
    expect((await readAll(hub, { limit: 1 })).ids).toHaveLength(40);
    expect((await readAll(hub, { limit: 1_000 })).ids).toHaveLength(40);
  });

  it("contains only durable events", async () => {
    const hub = new FakeHub();
    await hub.publish(3);
    hub.log.hold();
    void hub.hub.publish(newEvents(3), null);
    await hub.clock.settle();
    const page = await read(hub);
    expect([idsOf(page), page.next, page.more, page.latest]).toEqual([[1, 2, 3], 3, false, 3]);
  });

  it("has a gap for an id that is too old, unknown, or of another log", async () => {
    const hub = new FakeHub();
    await hub.publish(10);
    hub.log.trim(5);
    for (const [asked, reason] of [
      [{ after: 2 }, "expired"],
      [{ after: 11 }, "unknown"],
      [{ after: "x" }, "unknown"],
      [{ after: 8, logName: "another" }, "unknown"],
    ] as const) {
      const page = await read(hub, asked);
      expect([page.gap?.reason, idsOf(page)]).toEqual([reason, [6, 7, 8, 9, 10]]);
    }
    expect((await read(hub, { after: 5 })).gap).toBeNull();
  });

  it("does not show events that are too old, even if they are not trimmed yet", async () => {
    const retention = { maxEvents: 100, maxAgeMs: 60_000, maxBytes: 1e9 };
    const hub = new FakeHub({ settings: { retention } });
    await hub.publish(3);
    await hub.clock.advance(50_000);
    await hub.publish(2);
    await hub.clock.advance(10_001);
    const page = await read(hub);
    expect([idsOf(page), page.oldest, hub.log.oldest]).toEqual([[4, 5], 4, 1]);
  });

  it("can start at a time", async () => {
    const hub = new FakeHub();
    await hub.publish(3);
    await hub.clock.advance(1_000);
    await hub.publish(2);
    expect(idsOf(await read(hub, { since: hub.clock.now() }))).toEqual([4, 5]);
    expect(await read(hub, { since: hub.clock.now() + 1 })).toMatchObject({
      events: [],
      next: 5,
      more: false,
    });
  });
});
