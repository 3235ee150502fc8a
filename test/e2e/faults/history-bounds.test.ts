import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { startMortal, type MortalService } from "../../support/faults/mortal-service.ts";
import type { PublishedEvent } from "../../support/service.ts";
import { until } from "../../support/until.ts";

/** A log over a bound is trimmed within 10 s. */
const TRIMMED_WITHIN_MS = 10_000;

const ticks = (count: number, first = 1): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: first + n, key: `k${first + n}` }));

const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last - first + 1 }, (_, n) => String(first + n));

interface Page {
  readonly events: readonly { readonly id: string; readonly data: unknown }[];
  readonly next: string;
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: object;
}

let mortal: MortalService;

beforeEach(async () => {
  mortal = await startMortal({ history: { max_events: 50 } });
});

afterEach(() => mortal.end());

async function page(query = ""): Promise<Page> {
  return (await (await mortal.service.fetch(`/api/history?limit=1000&${query}`)).json()) as Page;
}

const ids = ({ events }: Page): string[] => events.map(({ id }) => id);

/** Waits for the trimming by the log alone, without reading the channel or publishing. */
async function untilTrimmed(events: number): Promise<void> {
  await mortal.service.logged("log_trimmed", { channel: "default", events }, TRIMMED_WITHIN_MS);
}

describe("Bounds of the history, over SIGKILL", () => {
  it("trim a log that an earlier life left over a bound, and free exactly the keys of the trimmed events", async () => {
    await mortal.service.publish(ticks(200));
    await mortal.die();
    expect(mortal.logs.map(({ event }) => event)).not.toContain("log_trimmed");
    await mortal.revive();
    await untilTrimmed(150);
    const left = await page();
    expect(ids(left)).toEqual(upTo(200, 151));
    expect(left).toMatchObject({ oldest_id: "151", latest_id: "200" });

    await mortal.die();
    await mortal.revive();
    expect(ids(await page())).toEqual(upTo(200, 151));
    const again = await mortal.service.publish([
      { type: "tick", data: 200, key: "k200" },
      { type: "tick", data: "other", key: "k151" },
      { type: "tick", data: 150, key: "k150" },
    ]);
    expect(again.events).toEqual([
      { id: "200", type: "tick", duplicate: true },
      { id: "151", type: "tick", duplicate: true, conflict: true },
      { id: "201", type: "tick", duplicate: false },
    ]);
  });

  it("hide events that are too old under a lower bound before they are trimmed, and the ids go on", async () => {
    await mortal.service.publish(ticks(3));
    await mortal.die();
    await mortal.revive({ history: { max_age_seconds: 1 } });
    await until(async () => (await page()).oldest_id === null, { what: "all events to be too old" });
    expect(mortal.logs.map(({ event }) => event)).not.toContain("log_trimmed");
    const gap = { requested_id: "1", oldest_id: null, latest_id: "3", reason: "expired" };
    expect(await page("after=1")).toMatchObject({
      events: [],
      next: "3",
      oldest_id: null,
      latest_id: "3",
      gap,
    });
    expect((await mortal.service.health()).sse["oldest_event_id"]).toBeNull();
    const resumed = await mortal.service.stream({ last_event_id: "1" });
    expect(await resumed.nextEvent()).toMatchObject({ type: "connected", id: undefined });
    const told = await resumed.nextEvent();
    expect([told.type, told.id, JSON.parse(told.data)]).toEqual(["gap", "3", gap]);
    const earliest = await mortal.service.stream({ since: "earliest" });
    expect((await earliest.nextEvent()).type).toBe("connected");
    const toldToo = await earliest.nextEvent();
    expect([toldToo.type, toldToo.id, JSON.parse(toldToo.data)]).toEqual([
      "gap",
      "3",
      { ...gap, requested_id: null },
    ]);
    const atHead = await mortal.service.stream({ last_event_id: "3" });
    expect(await atHead.nextEvent()).toMatchObject({ type: "connected", id: "3" });
    expect((await mortal.service.publish(ticks(1))).events).toEqual([
      { id: "4", type: "tick", duplicate: false },
    ]);
    for (const stream of [resumed, earliest, atHead]) {
      expect(await stream.nextEvent()).toMatchObject({ type: "tick", id: "4" });
    }
  });
});
