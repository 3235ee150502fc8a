import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { RawStream, ReceivedEvent } from "../support/raw-stream.ts";
import { startService, type PublishedEvent, type Service } from "../support/service.ts";
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

const channel = "trimmed";

let service: Service;
/** A client that stopped reading before its channel was trimmed. */
let slow: RawStream;

// The trimming takes its time: the tests share one.
beforeAll(async () => {
  service = await startService({
    config: { channels: { allowed: ["*"] }, history: { max_events: kept } },
  });
  slow = await service.stream({ channel: "mid-stream" });
  await slow.nextEvent({ type: "connected" });
  slow.pause();
  await service.publish(ticks(20), channel);
  const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
  for (let n = 0; n < 20; n++) {
    await service.publish(batch, "mid-stream");
  }
  await untilOldest(channel, "16");
  await untilOldest("mid-stream", "596");
});

afterAll(() => service.stop());

async function untilOldest(name: string, oldest: string): Promise<void> {
  await until(
    async () => {
      const answer = await service.fetch(`/api/history?channel=${name}&limit=1`);
      return ((await answer.json()) as { oldest_id: string | null }).oldest_id === oldest;
    },
    { what: `the oldest event of ${name} to be ${oldest}`, timeoutMs: trimmedWithinMs, everyMs: 50 },
  );
}

const page = async (query: string): Promise<unknown> =>
  (await service.fetch(`/api/history?channel=${channel}&${query}`)).json();

describe("The stream: a history that is trimmed", () => {
  it("sends one gap to a client with a trimmed id, and then the kept events", async () => {
    const stream = await service.stream({ channel, last_event_id: "3" });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
    const gap = await stream.nextEvent();
    expect(gap).toMatchObject({ type: "gap", id: "15" });
    expect(json(gap)).toEqual({ requested_id: "3", oldest_id: "16", latest_id: "20", reason: "expired" });
    expect((await stream.collect(kept)).map((event) => event.id)).toEqual(upTo(20, 16));
    expect(stream.events.filter((event) => event.type === "gap")).toHaveLength(1);
  });

  it("sends no gap to a client that missed no event", async () => {
    const stream = await service.stream({ channel, last_event_id: "15" });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "15" });
    expect((await stream.collect(kept)).map((event) => event.id)).toEqual(upTo(20, 16));
    expect(stream.events.map((event) => event.type)).not.toContain("gap");
  });

  it.each(["365d", "earliest"])(
    "sends a gap to a client with since=%s if events after that time were trimmed, and then the kept events",
    async (since) => {
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

  it("sends a gap in mid-stream to a client that reads so slowly that its cursor falls out of the history", async () => {
    slow.resume();
    await until(() => slow.lastEventId === "600", { what: "the last event" });
    const at = slow.events.findIndex((event) => event.type === "gap");
    const before = slow.events.slice(1, at).map((event) => event.id);
    const [gap, ...after] = slow.events.slice(at);
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

  it("reports the gap in /api/history in the same way", async () => {
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
});
