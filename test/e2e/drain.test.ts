import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { makeDataDir, startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const retryAfterSeconds = 1;
const config = {
  sse: { retry_after_seconds: retryAfterSeconds, heartbeat_interval_seconds: 1 },
  channels: { allowed: ["*"] },
};

let service: Service;

beforeAll(async () => {
  service = await startService({ config });
});

afterAll(() => service.stop());

async function drain(query: string): Promise<void> {
  const answer = await service.admin(`/api/admin/drain${query}`, { method: "POST" });
  expect(answer.status).toBe(200);
}

async function resume(query = ""): Promise<void> {
  const answer = await service.admin(`/api/admin/resume${query}`, { method: "POST" });
  expect(answer.status).toBe(200);
}

async function streamStatus(channel: string): Promise<number> {
  const stream = await service.raw(`/api/events?channel=${channel}`);
  stream.reset();
  return stream.status;
}

describe("Draining one channel", () => {
  it("closes its streams with close (drain) and their end", async () => {
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => service.stream({ channel: "closing" })),
    );
    const other = await service.stream({ channel: "other" });
    await drain("?channel=closing");
    await Promise.all(streams.map((stream) => stream.untilClosed()));
    for (const stream of streams) {
      const close = stream.events.at(-1);
      expect(close?.type).toBe("close");
      const { reason, retry_after_ms } = JSON.parse(close?.data ?? "") as Record<string, unknown>;
      expect(reason).toBe("drain");
      expect(retry_after_ms).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000);
      expect(retry_after_ms).toBeLessThanOrEqual(retryAfterSeconds * 2_000);
      expect(stream.text).toMatch(new RegExp(`^retry: ${String(retry_after_ms)}$`, "m"));
      expect(stream.complete).toBe(true);
    }
    expect(other.closed).toBe(false);
    expect(await service.logged("drain_started", { channel: "closing" })).toMatchObject({
      level: expect.stringMatching(/^(info|warn)$/),
    });
    await until(async () => (await service.health("closing")).sse.active_connections === 0, {
      what: "an empty registry",
    });
  });

  it("answers on_busy=stream with close (drain), and lets clients in again after resume", async () => {
    await drain("?channel=busy");
    const busy = await service.raw("/api/events?channel=busy&on_busy=stream");
    expect(busy.status).toBe(200);
    await busy.untilClosed();
    expect(busy.events.map((event) => event.type)).toEqual(["close"]);
    expect(JSON.parse(busy.events[0]?.data ?? "")).toMatchObject({ reason: "drain" });
    await resume("?channel=busy");
    expect(await streamStatus("busy")).toBe(200);
  });

  it("applies to an unused channel, and does not create it", async () => {
    await drain("?channel=unused");
    expect(await service.health("unused")).toMatchObject({ status: "draining" });
    expect(await streamStatus("unused")).toBe(503);
    expect(await (await service.fetch("/metrics")).text()).not.toContain("unused");
    await resume("?channel=unused");
    expect(await streamStatus("unused")).toBe(200);
  });
});

describe("Draining every channel", () => {
  it("closes all streams and refuses new ones in each channel that exists, until resume", async () => {
    const names = ["default", "all-1", "all-2", "all-3"];
    const streams = await Promise.all(names.map((channel) => service.stream({ channel })));
    await drain("");
    await Promise.all(streams.map((stream) => stream.untilClosed()));
    expect(streams.map((stream) => stream.events.at(-1)?.type)).toEqual(names.map(() => "close"));
    expect(await Promise.all(names.map(streamStatus))).toEqual(names.map(() => 503));
    await resume();
    expect(await Promise.all(names.map(streamStatus))).toEqual(names.map(() => 200));
  });
});

describe("Draining and a restart", () => {
  it("is off after the next start, and a drained client then resumes without loss", async () => {
    const dataDir = await makeDataDir();
    let restarted = await startService({ config, dataDir: dataDir.path });
    try {
      const stream = await restarted.stream();
      await restarted.publish({ type: "a", data: 1 });
      await stream.nextEvent({ type: "a" });
      await restarted.admin("/api/admin/drain?for_seconds=300", { method: "POST" });
      await stream.untilClosed();
      await restarted.publish({ type: "a", data: 2 });
      await restarted.stop();
      restarted = await startService({ config, dataDir: dataDir.path });
      const resumed = await restarted.stream({ last_event_id: stream.lastEventId });
      expect(await resumed.nextEvent({ type: "a" })).toMatchObject({ id: "2", data: "2" });
    } finally {
      await restarted.stop();
      await dataDir.remove();
    }
  });
});
