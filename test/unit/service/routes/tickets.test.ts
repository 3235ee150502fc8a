import { describe, expect, it } from "vitest";

import { MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

const GUARDED = {
  config: { auth: { subscribe: "token" } },
  secrets: { SUBSCRIBE_TOKEN: "read" },
} as const;

const BUY = { method: "POST", token: "read" } as const;

async function buy(service: MemoryService): Promise<string> {
  const response = await service.send("/api/tickets", BUY);
  return ((await response.json()) as { ticket: string }).ticket;
}

describe("POST /api/tickets", () => {
  it("issues a ticket that opens one stream within 30 seconds", async () => {
    const service = new MemoryService(GUARDED);
    const response = await service.send("/api/tickets", BUY);
    expect(await response.json()).toEqual({
      ticket: expect.stringMatching(/^[0-9a-f]{64}$/),
      expires_in: 30,
      expires_at: "2026-01-29T10:00:30.000Z",
    });
    const ticket = await buy(service);
    expect((await service.send(`/api/events?ticket=${ticket}`)).status).toBe(200);
    expect(await refusalOf(service.send(`/api/events?ticket=${ticket}`))).toEqual([401, "unauthorized"]);
    const late = await buy(service);
    await service.host.clock.advance(30_000);
    expect(await refusalOf(service.send(`/api/events?ticket=${late}`))).toEqual([401, "unauthorized"]);
  });

  it("is refused without a token, and if too many tickets are unused", async () => {
    const service = new MemoryService(GUARDED);
    expect(await refusalOf(service.send("/api/tickets", { method: "POST" }))).toEqual([401, "unauthorized"]);
    expect(await refusalOf(service.send("/api/tickets?a=1", BUY))).toEqual([400, "invalid_parameter"]);
    for (let count = 0; count < 20; count++) {
      await buy(service);
    }
    const refused = await service.send("/api/tickets", BUY);
    expect(refused.headers.get("Retry-After")).toBe("30");
    expect(await refusalOf(refused)).toEqual([429, "rate_limited"]);
  });

  it("stores nothing where streams are public", async () => {
    const service = new MemoryService();
    expect((await service.send("/api/tickets", { method: "POST" })).status).toBe(200);
    expect(service.host.tickets.kept.size).toBe(0);
  });
});
