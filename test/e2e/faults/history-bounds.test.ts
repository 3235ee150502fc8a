import { describe, expect, it } from "vitest";

import { startMortal, type MortalService } from "../../support/faults/mortal-service.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import type { PublishedEvent, Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

/** A log over a bound is trimmed within 10 s. */
const TRIMMED_WITHIN_MS = 10_000;

const ticks = (count: number, data: (n: number) => unknown = (n) => n): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: data(n + 1), key: `k${n + 1}` }));

const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last - first + 1 }, (_, n) => String(first + n));

interface Page {
  readonly events: readonly { readonly id: string; readonly data: unknown }[];
  readonly next: string;
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: object;
}

async function page(service: Service, query = ""): Promise<Page> {
  return (await (await service.fetch(`/api/history?limit=1000&${query}`)).json()) as Page;
}

const ids = ({ events }: Page): string[] => events.map(({ id }) => id);

/** Waits for the trimming by the log alone: nobody reads the channel, and nobody publishes. */
async function trimmed(service: Service, events: number, withinMs = TRIMMED_WITHIN_MS): Promise<void> {
  await service.logged("log_trimmed", { channel: "default", events }, withinMs);
}

/** Three events are gone, and everybody who asks for them is told so. Returns a resumed stream, and one since the earliest. */
async function expectNothingKept(service: Service): Promise<[RawStream, RawStream]> {
  const gap = { requested_id: "1", oldest_id: null, latest_id: "3", reason: "expired" };
  expect(await page(service, "after=1")).toMatchObject({
    events: [],
    next: "3",
    oldest_id: null,
    latest_id: "3",
    gap,
  });
  const resumed = await service.stream({ last_event_id: "1" });
  expect(await resumed.nextEvent()).toMatchObject({ type: "connected", id: undefined });
  const told = await resumed.nextEvent();
  expect([told.type, told.id, JSON.parse(told.data)]).toEqual(["gap", "3", gap]);
  const earliest = await service.stream({ since: "earliest" });
  expect((await earliest.nextEvent()).type).toBe("connected");
  const toldToo = await earliest.nextEvent();
  expect([toldToo.type, toldToo.id, JSON.parse(toldToo.data)]).toEqual([
    "gap",
    "3",
    { ...gap, requested_id: null },
  ]);
  return [resumed, earliest];
}

/** The alarm, which trims, is as exact as the heartbeats are frequent. */
const sse = { heartbeat_interval_seconds: 1 };

async function mortal(
  history: object,
  use: (service: MortalService) => Promise<void>,
  streams: object = sse,
): Promise<void> {
  const service = await startMortal({ sse: streams, history });
  try {
    await use(service);
  } finally {
    await service.end();
  }
}

// They wait for the trimming, and wait together.
describe.concurrent("Bounds of the history, in a channel that nobody reads or publishes to", () => {
  it("max_events: no more than these are left, and their keys with them; after SIGKILL too", () =>
    mortal({ max_events: 50 }, async (service) => {
      await service.service.publish(ticks(200));
      await trimmed(service.service, 150);
      const left = await page(service.service);
      expect(ids(left)).toEqual(upTo(200, 151));
      expect(left).toMatchObject({ oldest_id: "151", latest_id: "200" });
      await service.die();
      await service.revive();
      expect(ids(await page(service.service))).toEqual(upTo(200, 151));
      const again = await service.service.publish([
        { type: "tick", data: 200, key: "k200" },
        { type: "tick", data: "other", key: "k151" },
        { type: "tick", data: 150, key: "k150" },
      ]);
      expect(again.events).toEqual([
        { id: "200", type: "tick", duplicate: true },
        { id: "151", type: "tick", duplicate: true, conflict: true },
        { id: "201", type: "tick", duplicate: false },
      ]);
    }));

  it("max_bytes: what is left fits, and nothing more has gone than had to", () =>
    mortal({ max_bytes: 100_000 }, async ({ service }) => {
      await service.publish(ticks(50, () => "x".repeat(9_000)));
      const line = await service.logged("log_trimmed", {}, TRIMMED_WITHIN_MS);
      const left = await page(service);
      expect(left.events.length + Number(line["events"])).toBe(50);
      expect(left.events.length * 9_000).toBeLessThanOrEqual(100_000);
      expect((left.events.length + 1) * 9_500).toBeGreaterThan(100_000);
      expect(ids(left)).toEqual(upTo(50, 51 - left.events.length));
    }));

  it("max_bytes: an event that is larger than the bound goes like any other", () =>
    mortal({ max_bytes: 1_024 }, async ({ service }) => {
      await service.publish({ type: "tick", data: "x".repeat(5_000) });
      await trimmed(service, 1);
      expect(await page(service)).toMatchObject({ events: [], oldest_id: null, latest_id: "1" });
      await service.publish({ type: "tick", data: 1 });
      expect(ids(await page(service))).toEqual(["2"]);
    }));

  it("max_age_seconds: nothing is left, and the ids go on, over SIGKILL and a gap without an oldest id", () =>
    mortal({ max_age_seconds: 1 }, async (service) => {
      await service.service.publish(ticks(3));
      await trimmed(service.service, 3, 1_000 + TRIMMED_WITHIN_MS);
      await expectNothingKept(service.service);
      await service.die();
      await service.revive();
      const [resumed, earliest] = await expectNothingKept(service.service);
      expect((await service.service.publish(ticks(1))).events).toEqual([
        { id: "4", type: "tick", duplicate: false },
      ]);
      expect(await resumed.nextEvent()).toMatchObject({ type: "tick", id: "4" });
      expect(await earliest.nextEvent()).toMatchObject({ type: "tick", id: "4" });
    }));

  it("a log that is over a bound when the service is killed is trimmed by the next life", () =>
    mortal({ max_events: 50 }, async (service) => {
      await service.service.publish(ticks(200));
      await service.die();
      expect(service.logs.map(({ event }) => event)).not.toContain("log_trimmed");
      await service.revive();
      await trimmed(service.service, 150);
      expect(ids(await page(service.service))).toEqual(upTo(200, 151));
    }));

  it("a log that is over a bound since the bound was lowered is trimmed once the channel is looked at", () =>
    mortal({}, async (service) => {
      await service.service.publish(ticks(200));
      await service.die();
      await service.revive({ sse, history: { max_events: 50 } });
      await page(service.service);
      await trimmed(service.service, 150);
      expect(ids(await page(service.service))).toEqual(upTo(200, 151));
    }));
});

describe.concurrent("An event that is too old, before it is trimmed", () => {
  it("is served by nothing: not by since, not by an id, not by the history", () =>
    mortal(
      { max_age_seconds: 3 },
      async ({ service }) => {
        await service.publish(ticks(3));
        const first = Date.now();
        await until(() => Date.now() - first > 2_000, { what: "time between the events" });
        await service.publish(ticks(5).slice(3));
        await until(async () => (await page(service)).oldest_id === "4", {
          what: "the first three to be too old",
        });
        expect(Date.now() - first).toBeLessThan(4_000);

        const current = await service.stream({ last_event_id: "3" });
        expect(await current.nextEvent()).toMatchObject({ type: "connected", id: "3" });
        expect((await current.collect(2)).map(({ id }) => id)).toEqual(["4", "5"]);
        for (const since of ["earliest", "1h"]) {
          const stream = await service.stream({ since });
          expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
          const gap = await stream.nextEvent();
          expect([gap.type, gap.id, JSON.parse(gap.data)]).toEqual([
            "gap",
            "3",
            { requested_id: null, oldest_id: "4", latest_id: "5", reason: "expired" },
          ]);
          expect((await stream.collect(2)).map(({ id }) => id)).toEqual(["4", "5"]);
        }
        const resumed = await service.stream({ last_event_id: "2" });
        expect(await resumed.nextEvent()).toMatchObject({ type: "connected", id: undefined });
        const gap = await resumed.nextEvent();
        expect([gap.type, gap.id, JSON.parse(gap.data)]).toEqual([
          "gap",
          "3",
          { requested_id: "2", oldest_id: "4", latest_id: "5", reason: "expired" },
        ]);
        expect((await resumed.collect(2)).map(({ id }) => id)).toEqual(["4", "5"]);
        expect(await page(service, "after=1")).toMatchObject({
          events: [{ id: "4" }, { id: "5" }],
          gap: { requested_id: "1", oldest_id: "4" },
        });
        expect((await service.health()).sse["oldest_event_id"]).toBe("4");

        await until(async () => (await page(service)).oldest_id === null, { what: "all to be too old" });
        const empty = await service.stream({ since: "earliest" });
        expect((await empty.nextEvent()).type).toBe("connected");
        expect(await empty.nextEvent()).toMatchObject({ type: "gap", id: "5" });
        expect(service.logs.map(({ event }) => event)).not.toContain("log_trimmed");
        await service.publish({ type: "tick", data: 6 });
        expect(await empty.nextEvent()).toMatchObject({ type: "tick", id: "6" });
        expect(empty.events).toHaveLength(3);
      },
      {},
    ));
});
