import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createRandom, type Random } from "../support/faults/random.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { max_connections: 500, heartbeat_interval_seconds: 1 }, channels: { allowed: ["*"] } },
  });
});

afterAll(() => service.stop());

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

function percentile95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.POSITIVE_INFINITY;
}

describe("Numbers: delivery latency, 100 clients, 50 events/s", () => {
  it("P95 from publish call to client receipt is under 100 ms, and every client gets every event in order", async () => {
    const perSecond = 50;
    const count = 4 * perSecond;
    const streams = await Promise.all(
      Array.from({ length: 100 }, () => service.stream({ channel: "latency" })),
    );
    const publishedAt: number[] = [];
    const started = performance.now();
    const answers: Promise<unknown>[] = [];
    for (let n = 0; n < count; n++) {
      await sleep(Math.max(0, started + (n * 1_000) / perSecond - performance.now()));
      publishedAt.push(performance.now());
      answers.push(service.publish({ type: "tick", data: n }, "latency"));
    }
    await Promise.all(answers);
    const received = await Promise.all(streams.map((stream) => stream.collect(count)));
    for (const events of received) {
      expect(events.map((event) => Number(event.id))).toEqual(upTo(count));
    }
    const latencies = received.flat().map((event) => event.at - (publishedAt[Number(event.data)] ?? 0));
    expect(latencies).toHaveLength(100 * count);
    expect(percentile95(latencies)).toBeLessThan(100);
  });
});

describe("Promises: no loss, no double", () => {
  it("while clients come, go and come back with their last id under a stream of publishes", async () => {
    const channel = "churn";
    const publishing = new AbortController();
    const steady = await Promise.all(Array.from({ length: 10 }, () => service.stream({ channel })));

    /** One client that is cut again and again, and what it saw over all its connections. */
    async function comeAndGo(turns: number, random: Random): Promise<{ ids: number[]; last: string }> {
      const ids: number[] = [];
      let last = "0";
      for (let turn = 0; turn < turns; turn++) {
        const stream = await service.stream({ channel, last_event_id: last });
        await sleep(random.between(0, 60));
        if (turn % 2 === 0) {
          stream.reset();
        } else {
          stream.end();
          stream.reset();
        }
        ids.push(...stream.events.filter((event) => event.type === "tick").map((event) => Number(event.id)));
        last = stream.lastEventId || last;
      }
      return { ids, last };
    }

    const published = (async () => {
      let count = 0;
      while (!publishing.signal.aborted) {
        const batch = Array.from({ length: 1 + (count % 3) }, () => ({ type: "tick", data: 1 }));
        const answer = await service.publish(batch, channel);
        count = Number(answer.events.at(-1)?.id);
      }
      return count;
    })();
    const visitors = await Promise.all(
      Array.from({ length: 20 }, (_, visitor) => comeAndGo(30, createRandom(visitor))),
    );
    publishing.abort();
    const count = await published;

    for (const stream of steady) {
      const events = await stream.collect(count);
      expect(events.map((event) => Number(event.id))).toEqual(upTo(count));
    }
    for (const { ids, last } of visitors) {
      const stream = await service.stream({ channel, last_event_id: last });
      const rest = await stream.collect(count - Number(last));
      expect([...ids, ...rest.map((event) => Number(event.id))]).toEqual(upTo(count));
      stream.reset();
    }
  });

  it("for each of 50 clients that connect from the oldest event while publishing goes on", async () => {
    const channel = "joining";
    await service.publish(
      Array.from({ length: 500 }, (_, n) => ({ type: "tick", data: n })),
      channel,
    );
    const publishing = (async () => {
      for (let n = 0; n < 100; n++) {
        await service.publish({ type: "tick", data: 500 + n }, channel);
      }
    })();
    const streams = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        await sleep(n * 5);
        return service.stream({ channel, since: "earliest" });
      }),
    );
    await publishing;
    for (const stream of streams) {
      const events = await stream.collect(600);
      expect(events.map((event) => Number(event.id))).toEqual(upTo(600));
      expect(events.map((event) => Number(event.data))).toEqual(upTo(600).map((id) => id - 1));
    }
  });

  it("and nothing of all this threw", () => {
    expect(service.logs.filter((line) => line.level === "error")).toEqual([]);
    expect(service.output).not.toMatch(/uncaught|unhandled/i);
  });
});
