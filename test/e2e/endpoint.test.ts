import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";

const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-store, no-transform",
  "x-accel-buffering": "no",
};

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { heartbeat_interval_seconds: 30, retry_after_seconds: 7 }, channels: { allowed: ["*"] } },
  });
});

afterAll(() => service.stop());

describe("The stream: GET /api/events", () => {
  it("answers 200 with the headers of an event stream that nothing buffers, stores, transforms or compresses", async () => {
    const stream = await service.stream({}, { headers: { "Accept-Encoding": "gzip, deflate, br, zstd" } });
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject(streamHeaders);
    expect(stream.headers).not.toHaveProperty("content-length");
    expect(stream.headers).not.toHaveProperty("content-encoding");
  });

  it("begins at once with connected, byte for byte", async () => {
    const asked = performance.now();
    const stream = await service.stream({ channel: "first-bytes" });
    const connected = await stream.nextEvent();
    expect(connected.at - asked).toBeLessThan(1_000);
    const data = JSON.parse(connected.data) as Record<string, string>;
    expect(stream.text).toBe(
      "retry: 7000\n" +
        "event: connected\n" +
        "id: 0\n" +
        `data: {"client_id":"${data["client_id"]}","channel":"first-bytes","last_event_id":"0",` +
        `"log":"${data["log"]}","heartbeat_interval_seconds":30}\n\n`,
    );
    expect(data["client_id"]).toMatch(uuid);
    expect(data["log"]).toMatch(/^\S+$/);
  });

  it("gives every client an id of its own, and all clients of a channel the same log", async () => {
    const streams = await Promise.all([service.stream(), service.stream(), service.stream()]);
    const greetings = await Promise.all(streams.map(async (stream) => greeting(await stream.nextEvent())));
    expect(new Set(greetings.map((data) => data["client_id"])).size).toBe(3);
    expect(new Set(greetings.map((data) => data["log"])).size).toBe(1);
  });

  it("starts a live client at the head: connected carries the id of the newest event", async () => {
    const published = await service.publish(
      [
        { type: "a", data: 1 },
        { type: "a", data: 2 },
      ],
      "at-the-head",
    );
    expect(published.events.map((event) => event.id)).toEqual(["1", "2"]);
    const stream = await service.stream({ channel: "at-the-head" });
    const connected = await stream.nextEvent();
    expect(connected).toMatchObject({ type: "connected", id: "2" });
    expect(greeting(connected)["last_event_id"]).toBe("2");
    await service.publish({ type: "a", data: 3 }, "at-the-head");
    expect(await stream.nextEvent()).toMatchObject({ type: "a", id: "3", data: "3" });
  });

  it("uses the channel default if the query names none", async () => {
    const stream = await service.stream();
    expect(greeting(await stream.nextEvent())["channel"]).toBe("default");
  });

  it("answers HEAD with the headers and registers no client", async () => {
    const answer = await service.raw("/api/events?channel=head", { method: "HEAD" });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject(streamHeaders);
    expect((await service.health("head")).sse.active_connections).toBe(0);
  });
});

function greeting(event: { data: string }): Record<string, unknown> {
  return JSON.parse(event.data) as Record<string, unknown>;
}
