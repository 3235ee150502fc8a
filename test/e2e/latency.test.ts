import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

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
    const count = 2 * perSecond;
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
