import { describe, expect, it } from "vitest";

import { jwtSecret, tokenOf } from "../../../support/jwt.ts";
import { MemoryService, refusalOf, type Sent } from "../../../support/service/memory-service.ts";

const TICK = { type: "tick", data: { n: 1 } };

function sent(body: unknown, token = "publish"): Sent {
  return { method: "POST", token, body };
}

describe("POST /api/publish", () => {
  it("answers the ids of what it stored, in order", async () => {
    const service = new MemoryService();
    const keyed = { ...TICK, key: "k" };
    const first = await service.send("/api/publish", sent([TICK, keyed]));
    expect(await first.json()).toEqual({
      events: [
        { id: "1", type: "tick", duplicate: false },
        { id: "2", type: "tick", duplicate: false },
      ],
    });
    const again = await service.send("/api/publish", sent({ ...keyed, data: 2 }));
    expect(await again.json()).toEqual({
      events: [{ id: "2", type: "tick", duplicate: true, conflict: true }],
    });
  });

  it("checks in this order: channel of the query, token, body, parameters, events", async () => {
    const service = new MemoryService();
    const send = (path: string, with_: Sent): Promise<[number, string]> =>
      refusalOf(service.send(`/api/publish?${path}`, with_));
    expect(await send("channel=nowhere", { method: "POST" })).toEqual([404, "unknown_channel"]);
    expect(await send("channel=A", { method: "POST" })).toEqual([401, "unauthorized"]);
    expect(await send("channel=A", sent("{"))).toEqual([400, "invalid_body"]);
    expect(await send("channel=A", sent("{}"))).toEqual([400, "invalid_parameter"]);
    expect(await send("", sent("{}"))).toEqual([400, "invalid_event"]);
    expect(await send("", sent({ ...TICK, channel: "nowhere" }))).toEqual([404, "unknown_channel"]);
    expect(service.host.existing.size).toBe(0);
  });

  it("refuses the whole request for one event that the token does not grant, by its place", async () => {
    const config = { auth: { publish: "jwt" } };
    const service = new MemoryService({ config, secrets: { JWT_SECRET: jwtSecret } });
    const token = await tokenOf({ edge_sse: { publish: { types: ["tick"] } } });
    const response = await service.send("/api/publish", sent([TICK, { type: "other", data: 1 }], token));
    expect(await response.json()).toMatchObject({
      code: "forbidden",
      errors: [{ index: 1, field: "type" }],
    });
    expect(service.host.existing.size).toBe(0);
  });

  it("names the line of an event whose key is taken by one beyond the grant", async () => {
    const config = { auth: { publish: ["token", "jwt"] } };
    const secrets = { PUBLISH_TOKEN: "publish", JWT_SECRET: jwtSecret };
    const service = new MemoryService({ config, secrets });
    await service.send("/api/publish", sent({ type: "hidden", data: 1, key: "k" }));
    const token = await tokenOf({ edge_sse: { publish: { types: ["tick"] } } });
    const response = await service.send("/api/publish", {
      method: "POST",
      token,
      headers: { "Content-Type": "application/x-ndjson" },
      body: `\n\n${JSON.stringify({ ...TICK, key: "k" })}\n`,
    });
    const problem = await response.json();
    expect(problem).toMatchObject({ status: 409, code: "key_taken" });
    expect((problem as { errors: object[] }).errors).toEqual([
      { line: 3, field: "key", detail: expect.any(String) },
    ]);
  });
});
