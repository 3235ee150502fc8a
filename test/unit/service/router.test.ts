import { describe, expect, it } from "vitest";

import { MemoryService, refusalOf } from "../../support/service/memory-service.ts";

describe("a path without a route", () => {
  it("is a file of public/, or not found", async () => {
    const service = new MemoryService();
    expect(await (await service.send("/")).text()).toBe("the page");
    expect(await refusalOf(service.send("/nothing"))).toEqual([404, "not_found"]);
  });

  it("accepts only GET and HEAD, and says so if there is a file", async () => {
    const service = new MemoryService();
    const response = await service.send("/", { method: "POST" });
    expect(response.headers.get("Allow")).toBe("GET, HEAD");
    expect(await refusalOf(response)).toEqual([405, "method_not_allowed"]);
    expect(await refusalOf(service.send("/nothing", { method: "POST" }))).toEqual([404, "not_found"]);
  });
});

describe("every route", () => {
  it.each([
    ["/api/events", "GET, HEAD"],
    ["/api/publish", "POST"],
    ["/api/history", "GET, HEAD"],
    ["/api/tickets", "POST"],
    ["/health", "GET, HEAD"],
    ["/metrics", "GET, HEAD"],
    ["/api/admin/clients", "GET, HEAD"],
    ["/api/admin/clients/1", "DELETE"],
    ["/api/admin/drain", "POST"],
    ["/api/admin/resume", "POST"],
  ])("lists the methods that it accepts: %s", async (path, allow) => {
    const response = await new MemoryService().send(path, { method: "PATCH" });
    expect([response.status, response.headers.get("Allow")]).toEqual([405, allow]);
    expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
  });

  it("answers a preflight of an allowed origin, and lets the origin read refusals", async () => {
    const service = new MemoryService({ config: { cors: { allowed_origins: ["https://app.example.com"] } } });
    const Origin = "https://app.example.com";
    const headers = { Origin, "Access-Control-Request-Method": "GET" };
    const preflight = await service.send("/api/history", { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get("Access-Control-Allow-Methods")]).toEqual([
      204,
      "GET, HEAD",
    ]);
    const refused = await service.send("/api/publish", { method: "POST", headers: { Origin } });
    expect([refused.status, refused.headers.get("Access-Control-Allow-Origin")]).toEqual([401, Origin]);
  });

  it("refuses an unknown host name first", async () => {
    const service = new MemoryService({ listenHost: "127.0.0.1" });
    expect(await refusalOf(service.send("/health"))).toEqual([400, "invalid_request"]);
  });
});

describe("a bug", () => {
  it("is answered by a bare 500, and only the log has the details", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    service.host.broken.set("default", new Error("a secret detail"));
    const response = await service.send("/api/history");
    const text = await response.text();
    expect([response.status, text.includes("secret")]).toEqual([500, false]);
    const { fields } = service.host.lines.find(({ event }) => event === "request_failed") ?? {};
    expect(fields).toMatchObject({ path: "/api/history", error: expect.stringContaining("a secret detail") });
    expect(JSON.parse(text)).toMatchObject({ code: "internal", request_id: fields?.["request_id"] });
  });
});

describe("the budget of an address", () => {
  const config = { limits: { max_requests_per_minute_per_address: 2 } };

  it("counts all routes, and is logged once when it is used up", async () => {
    const service = new MemoryService({ config });
    await service.send("/health");
    await service.send("/metrics");
    const refused = await service.send("/api/events?since=never");
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(await refusalOf(refused)).toEqual([429, "rate_limited"]);
    const told = await service.send("/api/events?on_busy=stream&last_event_id=7");
    expect(await told.text()).toContain("event: close\nid: 7\n");
    expect(service.host.lines.filter(({ event }) => event === "request_refused")).toHaveLength(1);
    service.host.peer = "198.51.100.2";
    expect((await service.send("/health")).status).toBe(200);
  });

  it("is not used by publishes with a valid token, and is used up by guessing tokens", async () => {
    const service = new MemoryService({ config });
    for (let count = 0; count < 5; count++) {
      await service.publish("default", "tick");
    }
    const guess = { method: "POST", token: "guess", body: {} };
    expect(await refusalOf(service.send("/api/publish", guess))).toEqual([401, "unauthorized"]);
    expect(await refusalOf(service.send("/api/publish", guess))).toEqual([401, "unauthorized"]);
    expect(await refusalOf(service.send("/api/publish", guess))).toEqual([429, "rate_limited"]);
  });
});
