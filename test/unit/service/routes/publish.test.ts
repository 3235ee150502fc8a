import { describe, expect, it } from "vitest";

import { jwtSecret, tokenOf } from "../../../support/jwt.ts";
import { MemoryService, refusalOf, type Sent } from "../../../support/service/memory-service.ts";

const TICK = { type: "tick", data: { n: 1 } };

function sent(body: unknown, token = "publish"): Sent {
  return { method: "POST", token, body };
}

describe("POST /api/publish", () => {
  it("answers with the ids of the stored events, in order", async () => {
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

  it("checks in this order: route, method, channel of the query, token, type, size, body, parameters, events", async () => {
    const service = new MemoryService();
    const large = "x".repeat(1024 * 1024 + 1);
    const text = { "Content-Type": "text/plain" };
    const send = (path: string, with_: Sent): Promise<[number, string]> =>
      refusalOf(service.send(path, with_));
    const post = (query: string, with_: Sent): Promise<[number, string]> =>
      send(`/api/publish?${query}`, { method: "POST", ...with_ });
    expect(await send("/api/publishing", { method: "PUT", body: large })).toEqual([404, "not_found"]);
    expect(await send("/api/publish", { method: "PUT", body: large })).toEqual([405, "method_not_allowed"]);
    expect(await post("channel=nowhere", {})).toEqual([404, "unknown_channel"]);
    expect(await post("channel=A", { headers: text, body: large })).toEqual([401, "unauthorized"]);
    expect(await post("token=publish", {})).toEqual([401, "unauthorized"]);
    const challenged = await service.send("/api/publish", { method: "POST" });
    expect(challenged.headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
    const token = "publish";
    expect(await post("channel=A", { token, headers: text, body: large })).toEqual([
      415,
      "unsupported_media_type",
    ]);
    expect(await post("channel=A", { token, body: large })).toEqual([413, "body_too_large"]);
    const many = Array.from({ length: 1_001 }, () => ({ type: "" }));
    expect(await post("channel=A", { token, body: many })).toEqual([413, "too_many_events"]);
    expect(await post("channel=A", { token, body: "{" })).toEqual([400, "invalid_body"]);
    expect(await post("channel=A", { token, body: {} })).toEqual([400, "invalid_parameter"]);
    const tooLarge = { type: "a", data: "x".repeat(65_000) };
    expect(await post("", { token, body: [tooLarge, {}] })).toEqual([400, "invalid_event"]);
    expect(await post("", { token, body: [TICK, tooLarge] })).toEqual([413, "event_too_large"]);
    expect(await post("", { token, body: { ...TICK, channel: "nowhere" } })).toEqual([
      404,
      "unknown_channel",
    ]);
    expect(service.host.existing.size).toBe(0);
  });

  it("is closed if the deployment has no token, but still names its methods", async () => {
    const service = new MemoryService({ secrets: {} });
    for (const Authorization of ["", "Bearer ", "Bearer undefined", "Bearer publish"]) {
      const headers = { Authorization, "Content-Type": "text/plain" };
      const answer = service.send("/api/publish", { method: "POST", headers, body: "nonsense" });
      expect(await refusalOf(answer)).toEqual([503, "not_configured"]);
    }
    expect(await refusalOf(service.send("/api/publish"))).toEqual([405, "method_not_allowed"]);
    expect((await service.send("/api/events")).status).toBe(200);
  });

  it("prefers the channel of the event to the channel of the query", async () => {
    const service = new MemoryService({ config: { channels: { allowed: ["own", "asked"] } } });
    await service.send("/api/publish?channel=asked", sent({ ...TICK, channel: "own" }));
    expect([...service.host.existing.keys()]).toEqual(["own"]);
    // The default channel is not allowed here, but this event names another channel.
    expect((await service.send("/api/publish", sent({ ...TICK, channel: "own" }))).status).toBe(200);
    expect(await refusalOf(service.send("/api/publish", sent(TICK)))).toEqual([404, "unknown_channel"]);
  });

  it("refuses a whole batch for one event, names its index or line, and stores nothing", async () => {
    const service = new MemoryService();
    const lines = Array.from({ length: 999 }, (_, n) => JSON.stringify({ type: "tick", data: n })).toSpliced(
      500,
      0,
      '{"type":"gap","data":1}',
    );
    const errorsOf = async (body: string, type: string): Promise<unknown> => {
      const headers = { "Content-Type": type };
      const answer = await service.send("/api/publish", { method: "POST", token: "publish", headers, body });
      return ((await answer.json()) as { errors: unknown }).errors;
    };
    const detail = expect.stringMatching(/\S/);
    expect(await errorsOf(`[${lines.join()}]`, "application/json")).toEqual([
      { index: 500, field: "type", detail },
    ]);
    expect(await errorsOf(lines.join("\r\n\n"), "application/x-ndjson")).toEqual([
      { line: 1_001, field: "type", detail },
    ]);
    expect(service.host.existing.size).toBe(0);
  });

  it("refuses the whole request for one event that the token does not grant, and names its place", async () => {
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

  it("names the line of an event whose key belongs to an event outside the grant", async () => {
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
