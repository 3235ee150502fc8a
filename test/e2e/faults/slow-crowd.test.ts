import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { RawStream } from "../../support/raw-stream.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const channel = "crowd";
const timeoutSeconds = 1;
const places = 50;
const stallers = 30;

/** More than the sockets on the way hold: after these a write stays pending. */
const bigEvents = 260;
const bigData = "x".repeat(30 * 1024);

let service: Service;
let readers: RawStream[];
let stalled: RawStream[];
let smallEvents = 0;
/** The most that were clients or lingering at a time, as far as anybody has looked. */
let most = 0;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: {
        max_connections: places,
        connection_timeout_seconds: timeoutSeconds,
        heartbeat_interval_seconds: 1,
      },
      channels: { allowed: [channel] },
    },
  });
  readers = await Promise.all(
    Array.from({ length: places - stallers }, () => service.stream({ channel, types: "small" })),
  );
});

afterAll(() => service.stop());

async function population(): Promise<{ clients: number; lingering: number }> {
  const { sse } = await service.health(channel);
  const lingering = Number(sse["lingering_connections"]);
  most = Math.max(most, sse.active_connections + lingering);
  return { clients: sse.active_connections, lingering };
}

async function untilPopulation(clients: number, lingering: number, timeoutMs = 5_000): Promise<void> {
  let found: object = {};
  await until(
    async () => {
      const now = await population();
      found = now;
      return now.clients === clients && now.lingering === lingering;
    },
    {
      what: () => `${clients} clients and ${lingering} lingering; there are ${JSON.stringify(found)}`,
      timeoutMs,
    },
  );
}

/** The median from the publish call to all readers. */
async function measure(count: number): Promise<number> {
  const latencies: number[] = [];
  for (let n = 0; n < count; n++) {
    const published = performance.now();
    await service.publish({ type: "small", data: n }, channel);
    smallEvents++;
    const events = await Promise.all(readers.map((reader) => reader.nextEvent({ type: "small" })));
    latencies.push(...events.map(({ at }) => at - published));
  }
  return latencies.toSorted((a, b) => a - b)[latencies.length >> 1] ?? 0;
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

const slowClients = () => service.logs.filter(({ event }) => event === "slow_client");

describe("Promises: a crowd of clients that do not read", () => {
  it("takes nothing from those that do: their median stays what it was", async () => {
    await measure(10);
    const before = await measure(30);
    stalled = await openStalled(stallers);
    expect(stalled.map(({ status }) => status)).toEqual(Array(stallers).fill(200));
    const batch = Array.from({ length: 26 }, () => ({ type: "big", data: bigData }));
    for (let n = 0; n < bigEvents / batch.length; n++) {
      await service.publish(batch, channel);
    }
    const during = await measure(30);
    expect(during).toBeLessThan(Math.max(3 * before, 100));
  });

  it("is dropped at its deadline, each one of it, and lingers as long as it neither reads nor leaves", async () => {
    await untilPopulation(places - stallers, stallers, (timeoutSeconds + 2) * 1_000);
    // The log tells some of them one by one, and a second later of the others how many they are.
    const told = (): number => slowClients().reduce((sum, line) => sum + Number(line["count"] ?? 1), 0);
    await until(() => told() >= stallers, { what: () => `${stallers} slow clients; ${told()} were told` });
    expect(told()).toBe(stallers);
    const stalls = slowClients().flatMap((line) => ("count" in line ? [] : [Number(line["stalled_ms"])]));
    expect(Math.min(...stalls)).toBeGreaterThanOrEqual(timeoutSeconds * 1_000);
    expect(Math.max(...stalls)).toBeLessThan(timeoutSeconds * 1_000 + 1_500);
    expect(await measure(10)).toBeLessThan(100);
  });

  it("may linger in as many as max_connections: beyond that who does not read keeps its place, until one goes", async () => {
    const free = places - stallers;
    const patienceMs = (timeoutSeconds + 2) * 1_000;
    const second = await openStalled(stallers);
    expect(second.map(({ status }) => status)).toEqual(Array(stallers).fill(200));
    await untilPopulation(free + 2 * stallers - places, places, patienceMs);
    const third = await openStalled(stallers);
    const [admitted, refused] = [200, 503].map((status) =>
      third.filter((stream) => stream.status === status),
    );
    expect([admitted?.length, refused?.length]).toEqual([free, stallers - free]);
    expect(await population()).toEqual({ clients: places, lingering: places });
    expect(await measure(10)).toBeLessThan(100);
    for (const stream of second) {
      stream.reset();
    }
    await untilPopulation(free, places, patienceMs);
    for (const stream of third) {
      stream.reset();
    }
    await untilPopulation(free, stallers);
    expect(most).toBe(2 * places);
  });

  it("is told why when it reads again, and gets the rest when it resumes: nothing twice, nothing lost", async () => {
    const bigIds = await idsOf("big");
    expect(bigIds).toHaveLength(bigEvents);
    for (const stream of stalled) {
      stream.resume();
    }
    await Promise.all(
      stalled.map(async (stream) => {
        await stream.untilClosed();
        expect(stream.complete).toBe(true);
        const [error, close] = stream.events.slice(-2);
        expect([error?.type, close?.type]).toEqual(["error", "close"]);
        expect(JSON.parse(close?.data ?? "")).toMatchObject({ reason: "slow_client" });
      }),
    );
    await untilPopulation(places - stallers, 0);
    await Promise.all(
      stalled.map(async (stream) => {
        const got = stream.events.filter(({ type }) => type === "big");
        const resumed = await service.stream({ channel, types: "big", last_event_id: stream.lastEventId });
        const rest = await resumed.collect(bigEvents - got.length, { type: "big" });
        expect([...got, ...rest].map(({ id }) => id)).toEqual(bigIds);
        expect(got.length).toBeLessThan(bigEvents);
        resumed.reset();
      }),
    );
  });

  it("and all the while those that read have got everything, once and in order", async () => {
    const smallIds = await idsOf("small");
    expect(smallIds).toHaveLength(smallEvents);
    for (const reader of readers) {
      const events = await reader.collect(smallEvents);
      expect(events.map(({ id }) => id)).toEqual(smallIds);
      reader.end();
    }
    await untilPopulation(0, 0);
  });
});

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
