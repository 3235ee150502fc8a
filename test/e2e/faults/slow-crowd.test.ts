import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { RawStream } from "../../support/raw-stream.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const channel = "crowd";
const timeoutSeconds = 1;
const places = 50;
const stallers = 30;
const free = places - stallers;
const patienceMs = (timeoutSeconds + 2) * 1_000;

/** More than the sockets on the way hold: after these a write stays pending. */
const bigEvents = 260;
const bigBatch = Array.from({ length: 20 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: {
        max_connections: places,
        connection_timeout_seconds: timeoutSeconds,
        heartbeat_interval_seconds: 1,
      },
      channels: { allowed: [channel, "sips"] },
    },
  });
});

afterAll(() => service.stop());

interface Population {
  readonly clients: number;
  readonly lingering: number;
}

async function population(): Promise<Population> {
  const { sse } = await service.health(channel);
  return { clients: sse.active_connections, lingering: Number(sse["lingering_connections"]) };
}

/** Waits for these numbers of clients and lingering streams. Returns the highest numbers until then. */
async function untilPopulation(clients: number, lingering: number): Promise<number> {
  let now = await population();
  let most = 0;
  await until(
    async () => {
      now = await population();
      most = Math.max(most, now.clients + now.lingering);
      return now.clients === clients && now.lingering === lingering;
    },
    {
      what: () => `${clients} clients and ${lingering} lingering; there are ${JSON.stringify(now)}`,
      timeoutMs: patienceMs,
    },
  );
  return most;
}

/** The median from the publish call to all readers. */
async function measure(readers: readonly RawStream[], count: number): Promise<number> {
  const latencies: number[] = [];
  for (let n = 0; n < count; n++) {
    const published = performance.now();
    await service.publish({ type: "small", data: n }, channel);
    const events = await Promise.all(readers.map((reader) => reader.nextEvent({ type: "small" })));
    latencies.push(...events.map(({ at }) => at - published));
  }
  return latencies.toSorted((a, b) => a - b)[latencies.length >> 1] ?? 0;
}

async function publishBig(to: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += bigBatch.length) {
    await service.publish(bigBatch, to);
  }
}

/** Clients that ask for everything that is big, and then take nothing. */
function openStalled(count: number): Promise<RawStream[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const stream = await service.raw(`/api/events?channel=${channel}&types=big&since=earliest`);
      stream.pause();
      return stream;
    }),
  );
}

const statusesOf = (streams: readonly RawStream[]): number[] => streams.map(({ status }) => status);

const slowClientLines = () => service.logs.filter(({ event }) => event === "slow_client");

/** The log tells of some slow clients one by one, and a second later how many others there were. */
async function expectSlowClientsInLog(count: number): Promise<void> {
  const told = (): number => slowClientLines().reduce((sum, line) => sum + Number(line["count"] ?? 1), 0);
  await until(() => told() >= count, { what: () => `${count} slow clients; ${told()} were told` });
  expect(told()).toBe(count);
  expect(slowClientLines().every(({ level }) => level === "warn")).toBe(true);
  const stalls = slowClientLines().flatMap((line) => ("count" in line ? [] : [Number(line["stalled_ms"])]));
  expect(Math.min(...stalls)).toBeGreaterThanOrEqual(timeoutSeconds * 1_000);
  expect(Math.max(...stalls)).toBeLessThan(timeoutSeconds * 1_000 + 1_500);
}

/** A dropped client that reads again is told why, and gets the rest when it resumes: nothing twice, nothing lost. */
async function expectResumedWhole(stream: RawStream, bigIds: readonly string[]): Promise<void> {
  stream.resume();
  await stream.untilClosed();
  expect(stream.complete).toBe(true);
  const [error, close] = stream.events.slice(-2);
  expect([error?.type, error?.id, close?.type, close?.id]).toEqual(["error", undefined, "close", undefined]);
  expect(JSON.parse(error?.data ?? "")).toMatchObject({ error_type: "slow_client", retryable: true });
  expect(JSON.parse(close?.data ?? "")).toMatchObject({ reason: "slow_client" });
  const got = stream.events.filter(({ type }) => type === "big");
  expect(got.length).toBeLessThan(bigEvents);
  const resumed = await service.stream({ channel, types: "big", last_event_id: stream.lastEventId });
  const rest = await resumed.collect(bigEvents - got.length, { type: "big" });
  expect([...got, ...rest].map(({ id }) => id)).toEqual(bigIds);
  resumed.reset();
}

/** The ids of all events of a type, from the history. */
async function idsOf(type: string): Promise<string[]> {
  const found: string[] = [];
  for (let after = "0", more = true; more;) {
    const answer = await service.fetch(
      `/api/history?channel=${channel}&types=${type}&limit=1000&after=${after}`,
    );
    const page = (await answer.json()) as { events: { id: string }[]; next: string; more: boolean };
    found.push(...page.events.map(({ id }) => id));
    ({ next: after, more } = page);
  }
  return found;
}

describe("Promises: one bad client harms nobody", () => {
  it("a crowd that never reads does not delay others, lingers within bounds, and can resume without loss", async () => {
    const readers = await Promise.all(
      Array.from({ length: free }, () => service.stream({ channel, types: "small" })),
    );
    await measure(readers, 10);
    const before = await measure(readers, 30);
    const first = await openStalled(stallers);
    expect(statusesOf(first)).toEqual(Array(stallers).fill(200));
    await publishBig(channel, bigEvents);
    expect(await measure(readers, 30)).toBeLessThan(Math.max(3 * before, 100));

    // Each one is dropped at its deadline, and lingers because it neither reads nor leaves.
    let most = await untilPopulation(free, stallers);
    await expectSlowClientsInLog(stallers);
    expect(await measure(readers, 10)).toBeLessThan(100);

    // As many as max_connections may linger. Beyond that a client that does not read keeps its place.
    const second = await openStalled(stallers);
    expect(statusesOf(second)).toEqual(Array(stallers).fill(200));
    most = Math.max(most, await untilPopulation(free + 2 * stallers - places, places));
    const third = await openStalled(stallers);
    expect(statusesOf(third).toSorted()).toEqual([
      ...Array<number>(free).fill(200),
      ...Array<number>(stallers - free).fill(503),
    ]);
    expect(await population()).toEqual({ clients: places, lingering: places });
    expect(await measure(readers, 10)).toBeLessThan(100);
    second.forEach((stream) => stream.reset());
    most = Math.max(most, await untilPopulation(free, places));
    third.forEach((stream) => stream.reset());
    most = Math.max(most, await untilPopulation(free, stallers));
    expect(most).toBeLessThanOrEqual(2 * places);

    const bigIds = await idsOf("big");
    expect(bigIds).toHaveLength(bigEvents);
    await Promise.all(first.map((stream) => expectResumedWhole(stream, bigIds)));
    await untilPopulation(free, 0);

    // All the while the readers have got everything, once and in order.
    const smallIds = await idsOf("small");
    for (const reader of readers) {
      const events = await reader.collect(smallIds.length);
      expect(events.map(({ id }) => id)).toEqual(smallIds);
      reader.end();
    }
    await untilPopulation(0, 0);
  });

  it("a client that reads slowly but steadily is not dropped, and misses nothing", async () => {
    const count = 600;
    await publishBig("sips", count);
    const stream = await service.stream({ channel: "sips", since: "earliest" });
    stream.pause();
    const started = performance.now();
    // By events, not by time: how much one read brings depends on the buffers of the system. A sip has to free so much
    // of a full send buffer that Linux tells the sender.
    const sip = (enough: number): void => {
      if (stream.events.length >= enough || stream.closed) {
        stream.pause();
      } else {
        stream.resume();
        setImmediate(sip, enough);
      }
    };
    const sips = setInterval(() => sip(stream.events.length + 40), 300);
    try {
      const events = await stream.collect(count, { type: "big", timeoutMs: 20_000 });
      expect(performance.now() - started).toBeGreaterThan(timeoutSeconds * 1_000);
      expect(events.map(({ id }) => Number(id))).toEqual(Array.from({ length: count }, (_, n) => n + 1));
      expect(stream.events.map((event) => event.type)).not.toContain("close");
    } finally {
      clearInterval(sips);
      stream.reset();
    }
  });
});
