import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ReceivedEvent } from "../support/raw-stream.ts";
import { makeDataDir, startService, type PublishedEvent, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

/** The log of a channel that is over a bound is trimmed within 10 seconds. */
const trimmedWithinMs = 10_000;
const kept = 5;

const ticks = (count: number): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: n + 1 }));

const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last - first + 1 }, (_, n) => String(first + n));

const json = (event: ReceivedEvent): Record<string, unknown> =>
  JSON.parse(event.data) as Record<string, unknown>;

async function untilOldest(service: Service, channel: string, oldest: string | null): Promise<void> {
  await until(
    async () => {
      const answer = await service.fetch(`/api/history?channel=${channel}&limit=1`);
      return ((await answer.json()) as { oldest_id: string | null }).oldest_id === oldest;
    },
    { what: `the oldest event of ${channel} to be ${oldest}`, timeoutMs: trimmedWithinMs, everyMs: 50 },
  );
}

// The tests wait for the trimming, and wait together.
describe.concurrent("The stream: a history that is trimmed", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({
      config: { channels: { allowed: ["*"] }, history: { max_events: kept } },
    });
  });

  afterAll(() => service.stop());

  it("tells a client whose id is older than what is kept (expired), and sends what is kept", async () => {
    await service.publish(ticks(20), "expired");
    await untilOldest(service, "expired", "16");
    const stream = await service.stream({ channel: "expired", last_event_id: "3" });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
    const gap = await stream.nextEvent();
    expect(gap).toMatchObject({ type: "gap", id: "15" });
    expect(json(gap)).toEqual({ requested_id: "3", oldest_id: "16", latest_id: "20", reason: "expired" });
    expect((await stream.collect(kept)).map((event) => event.id)).toEqual(upTo(20, 16));
    await service.publish(ticks(1), "expired");
    expect(await stream.nextEvent({ type: "gap", timeoutMs: 200 }).catch(() => "none")).toBe("none");
    expect((await stream.collect(kept + 1)).at(-1)?.id).toBe("21");
  });

  it("tells nothing to a client that was owed nothing else", async () => {
    await service.publish(ticks(20), "owed");
    await untilOldest(service, "owed", "16");
    const stream = await service.stream({ channel: "owed", last_event_id: "15" });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "15" });
    expect((await stream.collect(kept)).map((event) => event.id)).toEqual(upTo(20, 16));
    expect(stream.events.map((event) => event.type)).not.toContain("gap");
  });

  it.each(["365d", "earliest"])(
    "tells a client that starts by since=%s if events from then on were trimmed, and sends what is kept",
    async (since) => {
      const channel = `since-${since}`;
      await service.publish(ticks(20), channel);
      await untilOldest(service, channel, "16");
      const stream = await service.stream({ channel, since });
      expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
      const gap = await stream.nextEvent();
      expect(gap).toMatchObject({ type: "gap", id: "15" });
      expect(json(gap)).toEqual({
        requested_id: null,
        oldest_id: "16",
        latest_id: "20",
        reason: "expired",
      });
      expect((await stream.collect(kept)).map((event) => event.id)).toEqual(upTo(20, 16));
    },
  );

  it("tells a client in mid-stream when it reads so slowly that its cursor falls out", async () => {
    const stream = await service.stream({ channel: "mid-stream" });
    await stream.nextEvent({ type: "connected" });
    stream.pause();
    const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
    for (let n = 0; n < 20; n++) {
      await service.publish(batch, "mid-stream");
    }
    await untilOldest(service, "mid-stream", "596");
    stream.resume();
    await until(() => stream.lastEventId === "600", { what: "the last event" });
    const at = stream.events.findIndex((event) => event.type === "gap");
    const before = stream.events.slice(1, at).map((event) => event.id);
    const [gap, ...after] = stream.events.slice(at);
    expect(before).toEqual(upTo(before.length));
    expect(before.length).toBeLessThan(595);
    expect(gap).toMatchObject({ type: "gap", id: "595" });
    expect(JSON.parse(gap?.data ?? "")).toEqual({
      requested_id: String(before.length),
      oldest_id: "596",
      latest_id: "600",
      reason: "expired",
    });
    expect(after.map((event) => event.id)).toEqual(upTo(600, 596));
  });

  it("tells readers of /api/history in the same way", async () => {
    await service.publish(ticks(20), "history");
    await untilOldest(service, "history", "16");
    const page = async (query: string) =>
      (await service.fetch(`/api/history?channel=history&${query}`)).json();
    expect(await page("after=7&limit=2")).toMatchObject({
      events: [{ id: "16" }, { id: "17" }],
      next: "17",
      more: true,
      gap: { requested_id: "7", oldest_id: "16", latest_id: "20", reason: "expired" },
    });
    expect(await page("after=21&limit=1")).toMatchObject({ gap: { requested_id: "21", reason: "unknown" } });
    expect(await page("after=15")).not.toHaveProperty("gap");
    expect(await page("")).not.toHaveProperty("gap");
  });

  it("forgets a key with its event, and not before", async () => {
    await service.publish(
      [{ type: "a", data: 1, key: "early" }, ...ticks(18), { type: "a", data: 1, key: "late" }],
      "keys",
    );
    await untilOldest(service, "keys", "16");
    const answer = await service.publish(
      [
        { type: "a", data: 1, key: "late" },
        { type: "a", data: 1, key: "early" },
      ],
      "keys",
    );
    expect(answer.events).toEqual([
      { id: "20", type: "a", duplicate: true },
      { id: "21", type: "a", duplicate: false },
    ]);
  });

  it("keeps counting when it was trimmed to nothing, and over a restart too", async () => {
    const dataDir = await makeDataDir();
    const options = { dataDir: dataDir.path, config: { history: { max_age_seconds: 1 } } };
    let aging = await startService(options);
    try {
      await aging.publish(ticks(3));
      await untilOldest(aging, "default", null);
      const stream = await aging.stream({ last_event_id: "1" });
      expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
      const gap = await stream.nextEvent();
      expect(gap).toMatchObject({ type: "gap", id: "3" });
      expect(json(gap)).toEqual({ requested_id: "1", oldest_id: null, latest_id: "3", reason: "expired" });
      const atHead = await aging.stream({ last_event_id: "3" });
      expect(await atHead.nextEvent()).toMatchObject({ type: "connected", id: "3" });
      await aging.kill();
      aging = await startService(options);
      const resumed = await aging.stream({ last_event_id: "3" });
      expect(await resumed.nextEvent()).toMatchObject({ type: "connected", id: "3" });
      expect((await aging.publish(ticks(1))).events[0]?.id).toBe("4");
      expect(await resumed.nextEvent()).toMatchObject({ type: "tick", id: "4" });
    } finally {
      await aging.stop();
      await dataDir.remove();
    }
  });
});
