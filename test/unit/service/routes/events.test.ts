import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import { MemoryService, openingOf, refusalOf } from "../../../support/service/memory-service.ts";

const LIMITED = { sse: { max_connections: 1 } };

describe("GET /api/events", () => {
  it("opens a stream with its headers and its first frame", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    const response = await service.send("/api/events");
    expect([response.status, response.headers.get("Content-Type")]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
    ]);
    expect(await openingOf(response)).toContain('event: connected\nid: 1\ndata: {"client_id":');
  });

  it("replays after the id of the header", async () => {
    const service = new MemoryService();
    await service.publish("default", "a", "b");
    const response = await service.send("/api/events", { headers: { "Last-Event-ID": "1" } });
    expect(await openingOf(response)).toContain('"last_event_id":"1"');
  });

  it("checks in this order: Accept, token, parameters, channel, hub", async () => {
    const config = { auth: { subscribe: "token" } };
    const service = new MemoryService({ config, secrets: { SUBSCRIBE_TOKEN: "read" } });
    const headers = { Accept: "text/html" };
    const path = "/api/events?channel=nowhere&since=never";
    expect(await refusalOf(service.send(path, { headers }))).toEqual([406, "not_acceptable"]);
    expect(await refusalOf(service.send(path))).toEqual([401, "unauthorized"]);
    expect(await refusalOf(service.send(path, { token: "read" }))).toEqual([400, "invalid_parameter"]);
    const unknown = service.send("/api/events?channel=nowhere", { token: "read" });
    expect(await refusalOf(unknown)).toEqual([404, "unknown_channel"]);
    expect(service.host.existing.size).toBe(0);
  });

  it("is refused only if Accept excludes a stream", async () => {
    const service = new MemoryService();
    const statusFor = async (Accept: string): Promise<[string, number]> => [
      Accept,
      (await service.send("/api/events", { headers: { Accept } })).status,
    ];
    for (const accept of [
      "application/json",
      "text/html, application/*;q=0.8",
      "text/event-stream;q=0, */*",
    ]) {
      expect(await statusFor(accept)).toEqual([accept, 406]);
    }
    for (const accept of [
      "text/event-stream",
      "*/*",
      "text/*",
      "application/json, text/event-stream;q=0.1",
      "TEXT/Event-Stream",
      "text/event-stream; charset=utf-8",
    ]) {
      expect(await statusFor(accept)).toEqual([accept, 200]);
    }
  });

  it("refuses a client at the limit by a problem, or by a stream that repeats its id", async () => {
    const service = new MemoryService({ config: LIMITED });
    await service.send("/api/events");
    const refused = await service.send("/api/events");
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect(await refusalOf(refused)).toEqual([503, "limit"]);
    const told = await service.send("/api/events?on_busy=stream&last_event_id=7");
    expect(told.status).toBe(200);
    expect(await told.text()).toMatch(
      /^retry: \d+\nevent: close\nid: 7\ndata: \{"reason":"limit","retry_after_ms":\d+\}\n\n$/,
    );
  });

  it("does not ask the hub again while it refuses this address", async () => {
    const service = new MemoryService();
    const limit = new HubError("rate_limited", "Too many.", { retryAfterSeconds: 40 });
    service.host.broken.set("default", limit);
    expect(await refusalOf(service.send("/api/events"))).toEqual([429, "rate_limited"]);
    service.host.broken.clear();
    expect((await service.send("/api/events")).headers.get("Retry-After")).toBe("40");
    await service.host.clock.advance(40_000);
    expect((await service.send("/api/events")).status).toBe(200);
  });

  it("opens while the directory cannot be reached", async () => {
    const service = new MemoryService();
    service.host.directory.failure = new Error("unreachable");
    expect((await service.send("/api/events")).status).toBe(200);
    expect(service.host.lines.map(({ event }) => event)).toContain("directory_unreachable");
  });
});

describe("HEAD /api/events", () => {
  it("answers with the headers of a stream, and wakes no hub", async () => {
    const service = new MemoryService();
    const response = await service.send("/api/events", { method: "HEAD" });
    expect([response.status, response.headers.get("X-Accel-Buffering")]).toEqual([200, "no"]);
    expect(service.host.existing.size).toBe(0);
  });
});
