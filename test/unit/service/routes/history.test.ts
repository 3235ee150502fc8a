import { describe, expect, it } from "vitest";

import { MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

describe("GET /api/history", () => {
  it("answers with the events of a filter and the id to go on from", async () => {
    const service = new MemoryService();
    await service.publish("default", "a", "b", "a");
    const response = await service.send("/api/history?types=a&limit=1");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toEqual({
      events: [{ id: "1", type: "a", data: {}, published_at: "2026-01-29T10:00:00.000Z" }],
      next: "1",
      more: true,
      oldest_id: "1",
      latest_id: "3",
    });
  });

  it("reports a gap", async () => {
    const service = new MemoryService();
    await service.publish("default", "a");
    expect(await (await service.send("/api/history?after=9")).json()).toMatchObject({
      gap: { requested_id: "9", oldest_id: "1", latest_id: "1", reason: "unknown" },
    });
  });

  it("of an unused channel is empty, and wakes no hub", async () => {
    const service = new MemoryService();
    expect(await (await service.send("/api/history")).json()).toEqual({
      events: [],
      next: "0",
      more: false,
      oldest_id: null,
      latest_id: "0",
    });
    expect(service.host.existing.size).toBe(0);
  });

  it("checks in this order: token, parameters, channel", async () => {
    const config = { auth: { subscribe: "token" } };
    const service = new MemoryService({ config, secrets: { SUBSCRIBE_TOKEN: "read" } });
    const path = "/api/history?channel=nowhere";
    expect(await refusalOf(service.send(`${path}&limit=0`))).toEqual([401, "unauthorized"]);
    const token = "read";
    expect(await refusalOf(service.send(`${path}&limit=0`, { token }))).toEqual([400, "invalid_parameter"]);
    expect(await refusalOf(service.send(path, { token }))).toEqual([404, "unknown_channel"]);
  });
});
