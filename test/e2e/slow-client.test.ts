import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const timeoutSeconds = 2;
const kibibyte = 1024;

/** What the sockets on the way hold before a write stays pending, several times over. */
const bigEvents = 600;
/** So many that a sip frees a part of the buffers on the way which the service can see. */
const eventsOfSip = 40;
const bigData = "x".repeat(30 * kibibyte);

let service: Service;
let quiet: RawStream;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: {
        max_connections: 1000,
        connection_timeout_seconds: timeoutSeconds,
        heartbeat_interval_seconds: 1,
      },
      channels: { allowed: ["*"] },
    },
  });
  quiet = await service.stream({ channel: "silence" });
});

afterAll(() => service.stop());

/** Opens a stream, takes its first bytes and then no more. */
async function openStalled(channel: string): Promise<{ stream: RawStream; id: string }> {
  const stream = await service.stream({ channel, types: "big" });
  const connected = await stream.nextEvent({ type: "connected" });
  stream.pause();
  return { stream, id: (JSON.parse(connected.data) as { client_id: string }).client_id };
}

async function publishBig(to: Service, channel: string, count: number): Promise<void> {
  const batch = Array.from({ length: 30 }, () => ({ type: "big", data: bigData }));
  for (let n = 0; n < count / batch.length; n++) {
    await to.publish(batch, channel);
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const channel = "slow";

describe("Promises: one bad client harms nobody", () => {
  let stalled: { stream: RawStream; id: string };
  let readers: RawStream[];

  /** The latencies of `count` events from the publish call to all readers. */
  async function measure(count: number): Promise<number[]> {
    const latencies: number[] = [];
    for (let n = 0; n < count; n++) {
      const published = performance.now();
      await service.publish({ type: "small", data: n }, channel);
      const events = await Promise.all(readers.map((reader) => reader.nextEvent({ type: "small" })));
      latencies.push(...events.map((event) => event.at - published));
    }
    return latencies;
  }

  it("100 clients that read get everything as fast as before while one never reads", async () => {
    readers = await Promise.all(
      Array.from({ length: 100 }, () => service.stream({ channel, types: "small" })),
    );
    await measure(5);
    const before = median(await measure(20));
    stalled = await openStalled(channel);
    await publishBig(service, channel, bigEvents);
    const during = median(await measure(20));
    expect(during).toBeLessThan(Math.max(3 * before, 100));
  });

  it("the one that never reads is dropped after connection_timeout_seconds, and the log tells", async () => {
    const line = await service.logged("slow_client", { client_id: stalled.id }, (timeoutSeconds + 3) * 1_000);
    expect(line).toMatchObject({ level: "warn", channel });
    await service.logged("client_disconnected", { client_id: stalled.id, reason: "slow_client" });
    expect((await service.health(channel)).sse.active_connections).toBe(100);
  });

  it("the dropped one is told error and close when it reads again, and its stream ends", async () => {
    stalled.stream.resume();
    await stalled.stream.untilClosed(10_000);
    const [error, close] = stalled.stream.events.slice(-2);
    expect([error?.type, close?.type]).toEqual(["error", "close"]);
    expect([error?.id, close?.id]).toEqual([undefined, undefined]);
    expect(JSON.parse(error?.data ?? "")).toEqual({
      error_type: expect.stringMatching(/^[a-z_]+$/),
      message: expect.stringMatching(/\S/),
      retryable: true,
    });
    const { reason, retry_after_ms } = JSON.parse(close?.data ?? "") as {
      reason: string;
      retry_after_ms: number;
    };
    expect(reason).toBe("slow_client");
    expect(retry_after_ms).toBeGreaterThanOrEqual(100);
    expect(retry_after_ms).toBeLessThanOrEqual(1_000);
    expect(stalled.stream.complete).toBe(true);
    expect(stalled.stream.text).toMatch(new RegExp(`^retry: ${retry_after_ms}$`, "m"));
  });

  it("nothing is lost to the dropped one: what it got and what it gets when it resumes are all events once", async () => {
    const got = stalled.stream.events.filter((event) => event.type === "big");
    expect(got.length).toBeLessThan(bigEvents);
    const resumed = await service.stream({
      channel,
      types: "big",
      last_event_id: stalled.stream.lastEventId,
    });
    const rest = await resumed.collect(bigEvents - got.length, { type: "big" });
    const ids = [...got, ...rest].map((event) => event.id);
    expect(new Set(ids).size).toBe(bigEvents);
    const history = await service.fetch(`/api/history?channel=${channel}&types=small&limit=1000`);
    const small = ((await history.json()) as { events: { id: string }[] }).events.map((event) => event.id);
    const all = Array.from({ length: bigEvents + small.length }, (_, n) => String(n + 1));
    expect(ids).toEqual(all.filter((id) => !small.includes(id)));
    resumed.reset();
  });
});

describe("Promises: a client that is not slow", () => {
  it("that has nothing to take stays, however long", async () => {
    const { at } = await quiet.nextEvent();
    await until(() => performance.now() - at > (timeoutSeconds + 1.5) * 1_000, { what: "the time to pass" });
    await service.publish({ type: "a", data: 1 }, "silence");
    expect(await quiet.nextEvent({ type: "a" })).toMatchObject({ id: "1" });
  });

  it("that reads slowly but steadily is not dropped, however long it takes, and misses nothing", async () => {
    const stream = await service.stream({ channel, types: "big", since: "earliest" });
    stream.pause();
    const started = performance.now();
    // By events, and not by time: how much a read brings depends on the buffers of the system.
    const sip = (enough: number): void => {
      if (stream.events.length >= enough || stream.closed) {
        stream.pause();
      } else {
        stream.resume();
        setImmediate(sip, enough);
      }
    };
    const sips = setInterval(() => sip(stream.events.length + eventsOfSip), 300);
    try {
      const events = await stream.collect(bigEvents, { type: "big", timeoutMs: 20_000 });
      expect(performance.now() - started).toBeGreaterThan(timeoutSeconds * 1_000);
      expect(new Set(events.map((event) => event.id)).size).toBe(bigEvents);
      expect(stream.events.map((event) => event.type)).not.toContain("close");
    } finally {
      clearInterval(sips);
      stream.reset();
    }
  });

  it("that pauses for less than the timeout and reads on misses nothing", async () => {
    const { stream } = await openStalled("pause");
    await publishBig(service, "pause", 300);
    stream.resume();
    const events = await stream.collect(300, { type: "big" });
    expect(events.map((event) => Number(event.id))).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
    expect(stream.closed).toBe(false);
  });
});

describe("Promises: lingering clients", () => {
  let small: Service;
  const limit = 2;

  beforeAll(async () => {
    small = await startService({
      config: {
        sse: { max_connections: limit, connection_timeout_seconds: 1, heartbeat_interval_seconds: 1 },
      },
    });
    await publishBig(small, "default", bigEvents);
  });

  afterAll(() => small.stop());

  /** Takes all places by clients that never read. */
  function stallAll(): Promise<RawStream[]> {
    return Promise.all(
      Array.from({ length: limit }, async () => {
        const stream = await small.stream({ since: "earliest" });
        stream.pause();
        return stream;
      }),
    );
  }

  async function counts(): Promise<{ active: number; lingering: unknown }> {
    const { active_connections: active, lingering_connections: lingering } = (await small.health()).sse;
    return { active, lingering };
  }

  it("hold no place; as many as max_connections linger, and then who does not read keeps its place", async () => {
    const [first] = await stallAll();
    await until(async () => (await counts()).active === 0, { what: "all to be dropped" });
    expect(await counts()).toEqual({ active: 0, lingering: limit });

    const dropped = small.logs.filter(({ event }) => event === "slow_client").length;
    await stallAll();
    // Two deadlines later nobody of them is dropped, since nobody may linger any more.
    await sleep(2_500);
    expect(await counts()).toEqual({ active: limit, lingering: limit });
    expect(small.logs.filter(({ event }) => event === "slow_client")).toHaveLength(dropped);
    expect(await problemOf(await small.fetch("/api/events"))).toMatchObject({ status: 503, code: "limit" });

    first?.reset();
    const next = await until(
      async () => {
        const stream = await small.raw("/api/events?last_event_id=599");
        return stream.status === 200 ? stream : undefined;
      },
      { what: "a place", everyMs: 50 },
    );
    expect(await next.nextEvent({ type: "big" })).toMatchObject({ id: String(bigEvents) });
  });
});
