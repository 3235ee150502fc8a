import { describe, expect, it } from "vitest";

import { FakeStream } from "../../../support/hub/fake-stream.ts";
import { finished, MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

async function healthOf(service: MemoryService, path = "/health", token?: string): Promise<unknown> {
  const response = await service.send(path, token === undefined ? {} : { token });
  return [response.status, ((await response.json()) as { sse: unknown }).sse];
}

/** Connects a client to the default channel and lets it be quiet for a second. */
async function quietClient(service: MemoryService): Promise<FakeStream> {
  await service.publish("default", "tick");
  const stream = new FakeStream();
  const start = { lastEventId: null, logName: null, since: null };
  const request = { terms: {}, start, address: null, endsAt: null };
  await service.host.existing.get("default")?.connect(request, stream);
  await service.host.clock.advance(1_000);
  return stream;
}

const GUARDED = {
  config: { auth: { metrics: "token" } },
  secrets: { METRICS_TOKEN: "metrics", PUBLISH_TOKEN: "publish", ADMIN_TOKEN: "admin" },
} as const;

describe("GET /health", () => {
  it("answers with the state and the numbers of a channel, and ignores unknown parameters", async () => {
    const service = new MemoryService();
    await service.publish("default", "a", "b");
    expect(await healthOf(service, "/health?probe=7")).toEqual([
      200,
      {
        channel: "default",
        status: "healthy",
        reasons: [],
        active_connections: 0,
        lingering_connections: 0,
        max_connections: 100,
        last_event_id: "2",
        oldest_event_id: "1",
      },
    ]);
  });

  it("describes the service as a whole if the default channel is not allowed", async () => {
    const service = new MemoryService({ config: { channels: { allowed: ["board-*"] } } });
    const response = await service.send("/health");
    expect([response.status, response.headers.get("Cache-Control")]).toEqual([200, "no-store"]);
    expect(await response.json()).toEqual({ status: "healthy", version: expect.any(String), channels: 0 });
  });

  it("of an unused channel has no events and no clients, and wakes no hub", async () => {
    const service = new MemoryService();
    expect(await healthOf(service, "/health?channel=default")).toMatchObject([
      200,
      { status: "healthy", active_connections: 0, last_event_id: "0" },
    ]);
    expect(service.host.existing.size).toBe(0);
  });

  it("is 503 if the hub cannot be reached", async () => {
    const service = new MemoryService();
    await service.publish("default", "a");
    service.host.broken.set("default", new Error("gone"));
    const state = { channel: "default", status: "degraded", reasons: ["hub_unreachable"] };
    const numbers = { active_connections: null, max_connections: 100, last_event_id: null };
    expect(await healthOf(service)).toEqual([503, { ...state, ...numbers }]);
    expect(service.host.lines.map(({ event }) => event)).toContain("hub_unreachable");
  });

  it("says when a drain ends", async () => {
    const service = new MemoryService();
    await service.send("/api/admin/drain?channel=default&for_seconds=60", { method: "POST", token: "admin" });
    expect(await healthOf(service)).toMatchObject([
      200,
      { status: "draining", draining_until: "2026-01-29T10:01:00.000Z" },
    ]);
  });

  it("shows only the state to a request without a token if the numbers are guarded", async () => {
    const service = new MemoryService(GUARDED);
    const state = { channel: "default", status: "healthy", reasons: [] };
    expect(await healthOf(service)).toEqual([200, state]);
    expect(await healthOf(service, "/health", "wrong")).toEqual([200, state]);
    expect(await healthOf(service, "/health", "metrics")).toMatchObject([200, { active_connections: 0 }]);
    await service.send("/api/admin/drain?channel=default", { method: "POST", token: "admin" });
    expect(await healthOf(service)).toEqual([200, { ...state, status: "draining" }]);
    await service.publish("default", "a");
    service.host.broken.set("default", new Error("gone"));
    const unreachable = { ...state, status: "degraded", reasons: ["hub_unreachable"] };
    expect(await healthOf(service)).toEqual([503, unreachable]);
  });

  it("refuses a channel that is malformed or not allowed", async () => {
    const service = new MemoryService();
    expect(await refusalOf(service.send("/health?channel=A"))).toEqual([400, "invalid_parameter"]);
    expect(await refusalOf(service.send("/health?channel=nowhere"))).toEqual([404, "unknown_channel"]);
  });
});

describe("GET /health?probe=1", () => {
  it("does not count a client that has left", async () => {
    const service = new MemoryService();
    // The client has left, but the runtime notices that only at the next write.
    (await quietClient(service)).break();
    const path = "/health?channel=default";
    expect(await healthOf(service, path)).toMatchObject([200, { active_connections: 1 }]);
    const probed = await finished(service, healthOf(service, `${path}&probe=1`));
    expect(probed).toMatchObject([200, { active_connections: 0 }]);
  });

  it("sends one heartbeat to each quiet client in a second, and waits a quarter of a second", async () => {
    const service = new MemoryService();
    const stream = await quietClient(service);
    const [before, from] = [stream.writes.length, service.host.clock.now()];
    await finished(service, Promise.all([1, 2, 3].map(() => healthOf(service, "/health?probe=1"))));
    expect(stream.writes.length - before).toBe(1);
    expect(service.host.clock.now() - from).toBeLessThanOrEqual(260);
  });

  it("sends no heartbeat without a token if the numbers are guarded", async () => {
    const service = new MemoryService(GUARDED);
    const stream = await quietClient(service);
    const before = stream.writes.length;
    expect(await healthOf(service, "/health?probe=1")).toEqual([
      200,
      { channel: "default", status: "healthy", reasons: [] },
    ]);
    expect(stream.writes.length).toBe(before);
    await finished(service, healthOf(service, "/health?probe=1", "metrics"));
    expect(stream.writes.length).toBe(before + 1);
  });

  it("of an unused channel wakes no hub", async () => {
    const service = new MemoryService();
    expect(await healthOf(service, "/health?probe=1")).toMatchObject([200, { active_connections: 0 }]);
    expect(service.host.existing.size).toBe(0);
  });
});
