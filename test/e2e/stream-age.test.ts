import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const maxAgeMs = 1_000;
const travelMs = 150;

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { limits: { max_stream_age_seconds: 1 }, channels: { allowed: ["*"] } },
  });
});

afterAll(() => service.stop());

// Each test waits for its own clients on its own channel, so they wait together.
describe.concurrent("Promises: stream age", () => {
  it("a stream ends with close (max_age) after 80 to 100 % of the age, not all at once", async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, () => service.stream({ channel: "ages" })));
    const ages = await Promise.all(
      streams.map(async (stream) => {
        const opened = await stream.nextEvent({ type: "connected" });
        await stream.untilClosed();
        const close = stream.events.at(-1);
        expect(close).toMatchObject({ type: "close", id: undefined });
        const { reason, retry_after_ms } = JSON.parse(close?.data ?? "") as Record<string, unknown>;
        expect(reason).toBe("max_age");
        expect(retry_after_ms).toBeGreaterThanOrEqual(100);
        expect(retry_after_ms).toBeLessThanOrEqual(1_000);
        expect(stream.text).toMatch(new RegExp(`^retry: ${String(retry_after_ms)}$`, "m"));
        expect(stream.complete).toBe(true);
        return (close?.at ?? 0) - opened.at;
      }),
    );
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(maxAgeMs * 0.8 - travelMs);
    expect(Math.max(...ages)).toBeLessThanOrEqual(maxAgeMs + travelMs);
    expect(Math.max(...ages) - Math.min(...ages)).toBeGreaterThan(maxAgeMs * 0.05);
    expect((await service.health("ages")).sse.active_connections).toBe(0);
  });

  it("a native EventSource reconnects by itself and receives every event once, in order", async () => {
    const client = openNative(`${service.url}/api/events?channel=native`, ["tick", "close"]);
    const ticks = (): string[] =>
      client.events.filter((event) => event.type === "tick").map((event) => event.id);
    try {
      await until(async () => (await service.health("native")).sse.active_connections === 1, {
        what: "a client",
      });
      for (let n = 1; client.events.filter((event) => event.type === "close").length < 1; n++) {
        await service.publish({ type: "tick", data: n }, "native");
      }
      // This one can only come over the next connection.
      await service.publish({ type: "tick", data: 0 }, "native");
      const { last_event_id: head } = (await service.health("native")).sse;
      await until(() => ticks().length >= Number(head), {
        what: () => `${head} ticks, ${ticks().length} came`,
      });
      expect(ticks()).toEqual(Array.from({ length: Number(head) }, (_, n) => String(n + 1)));
    } finally {
      client.close();
    }
  });
});
