import { listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import { answerRequest } from "../../src/edge/host.ts";
import {
  hubPortOf,
  newChannel,
  openStream,
  OpenStream,
  publish,
  publishRequest,
  send,
  tick,
} from "./service.ts";

/** How many streams a channel takes in this lane. */
const { max_connections: PLACES } = env.SSE;

interface Problem {
  readonly status: number;
  readonly code: string;
}

async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  const { status, code } = await response.json<Problem>();
  expect(status).toBe(response.status);
  return { status, code };
}

describe("a stream through the Worker", () => {
  it("receives what is published, as it is published", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    await publish(channel, tick(1), tick(2));
    await stream.until(({ ids }) => ids.length === 2);
    await publish(channel, tick(3));
    await stream.until(({ ids }) => ids.length === 3);
    expect(stream.events.slice(1)).toEqual(
      [1, 2, 3].map((n) => ({ type: "tick", id: String(n), data: `{"n":${n}}` })),
    );
    await stream.leave();
  });

  it("has the headers of a stream, and so has a HEAD, which registers nobody", async () => {
    const channel = newChannel();
    const got = await send(`/api/events?channel=${channel}`);
    const head = await send(`/api/events?channel=${channel}`, { method: "HEAD" });
    for (const { status, headers } of [got, head]) {
      expect(status).toBe(200);
      expect(headers.get("Content-Type")).toBe("text/event-stream; charset=utf-8");
      expect(headers.get("Cache-Control")).toBe("no-cache, no-store, no-transform");
      expect(headers.get("X-Accel-Buffering")).toBe("no");
    }
    expect((await hubPortOf(channel).health()).activeConnections).toBe(1);
    await got.body?.cancel();
  });

  it("is left when the reader cancels: the client is out of the registry", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    expect((await hubPortOf(channel).health()).activeConnections).toBe(1);
    await stream.leave();
    await publish(channel, tick());
    expect((await hubPortOf(channel).health()).activeConnections).toBe(0);
  });

  it("replays a long log and goes on live, without a seam", async () => {
    const channel = newChannel();
    for (let count = 0; count < 6; count++) {
      await publish(channel, ...Array.from({ length: 1_000 }, () => tick()));
    }
    const stream = await openStream(channel, "&last_event_id=3");
    await stream.until(({ ids }) => ids.length >= 3_000);
    await publish(channel, tick());
    await stream.until(({ ids }) => ids.at(-1) === 6_001);
    expect(stream.ids).toEqual(Array.from({ length: 5_998 }, (_, index) => index + 4));
    await stream.leave();
  });

  it("opens with an id of any length and any characters", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    for (const id of ["9".repeat(8_000), "😀".repeat(1_000), "\n\u0000:", "%"]) {
      const stream = await openStream(channel, `&last_event_id=${encodeURIComponent(id)}`);
      await stream.until(({ ids }) => ids.length === 1);
      expect(stream.dataOf("gap")).toMatchObject({ reason: "unknown", requested_id: id.slice(0, 64) });
      await stream.leave();
    }
  });
});

describe("the limit", () => {
  it("is exact when twice as many connect at once to a channel that nobody has used", async () => {
    const channel = newChannel();
    const responses = await Promise.all(
      Array.from({ length: 2 * PLACES }, () => send(`/api/events?channel=${channel}`)),
    );
    const { activeConnections } = await hubPortOf(channel).health();
    const statuses = responses.map(({ status }) => status);
    expect(activeConnections).toBe(PLACES);
    expect(statuses.filter((status) => status === 200)).toHaveLength(PLACES);
    expect(statuses.filter((status) => status === 503)).toHaveLength(PLACES);
    await Promise.all(responses.map(({ body }) => body?.cancel()));
  });

  it("is told as a stream that ends to who asks for that", async () => {
    const channel = newChannel();
    const streams = await Promise.all(Array.from({ length: PLACES }, () => openStream(channel)));
    const response = await send(`/api/events?channel=${channel}&on_busy=stream`);
    expect([response.status, response.headers.get("Content-Type")]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
    ]);
    const text = await response.text();
    expect(text).toMatch(/^retry: \d+\nevent: close\ndata: \{"reason":"limit","retry_after_ms":\d+\}\n\n$/);
    const refused = await send(`/api/events?channel=${channel}`);
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect(await problemOf(refused)).toEqual({ status: 503, code: "limit" });
    await Promise.all(streams.map((stream) => stream.leave()));
  });
});

describe("a publish through the Worker", () => {
  it("checks in this order: method, token, type, size, channel of the query, events", async () => {
    const channel = newChannel();
    const path = `/api/publish?channel=${channel}`;
    const authorized = { Authorization: "Bearer publish" };
    const large = "x".repeat(1024 * 1024 + 1);
    const post = (headers: Record<string, string>, body: string, at = path): Promise<Response> =>
      send(at, { method: "POST", headers, body });
    expect(await problemOf(await send(path, { method: "PUT", body: large }))).toMatchObject({
      code: "method_not_allowed",
    });
    expect(await problemOf(await post({ "Content-Type": "text/plain" }, large))).toMatchObject({
      code: "unauthorized",
    });
    expect(await problemOf(await post({ ...authorized, "Content-Type": "text/plain" }, large))).toMatchObject(
      {
        code: "unsupported_media_type",
      },
    );
    const typed = { ...authorized, "Content-Type": "application/json" };
    expect(await problemOf(await post(typed, large, `${path}&typo=1`))).toMatchObject({
      code: "body_too_large",
    });
    expect(await problemOf(await post(typed, "[{}]", `${path}&typo=1`))).toMatchObject({
      code: "invalid_parameter",
    });
    expect(await problemOf(await post(typed, "[{}]"))).toMatchObject({ code: "invalid_event" });
    expect(await problemOf(await post(typed, '[{"type":"tick","data":1,"channel":"A"}]'))).toMatchObject({
      code: "invalid_event",
    });
  });

  it.each(["admin", "publis", "publishx", ""])("is refused with the token %j", async (token) => {
    const response = await send("/api/publish", publishRequest(tick(), token));
    expect(response.headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
    expect(await problemOf(response)).toEqual({ status: 401, code: "unauthorized" });
  });

  it("is let in each time when many are sent at once", async () => {
    const channel = newChannel();
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        send(`/api/publish?channel=${channel}`, publishRequest(tick(n), n % 2 === 0 ? "publish" : "wrong")),
      ),
    );
    expect(sent.map(({ status }) => status)).toEqual(sent.map((_, n) => (n % 2 === 0 ? 200 : 401)));
    expect((await hubPortOf(channel).health()).lastEventId).toBe(10);
  });

  it("takes the channel of the event before that of the query", async () => {
    const [own, asked] = [newChannel(), newChannel()];
    const event = { type: "tick", data: 1, channel: own };
    expect((await send(`/api/publish?channel=${asked}`, publishRequest(event))).status).toBe(200);
    expect((await hubPortOf(own).health()).lastEventId).toBe(1);
    expect((await hubPortOf(asked).health()).lastEventId).toBe(0);
  });

  it("takes the channel of the event though the default one is not allowed", async () => {
    const channel = newChannel();
    const url = "https://edge-sse.test/api/publish";
    const closed = { ...env, CHANNELS: { allowed: ["channel-*"] } };
    const publishTo = (body: object): Promise<Response> =>
      answerRequest(new Request(url, publishRequest(body)), closed);
    expect((await publishTo({ type: "tick", data: 1, channel })).status).toBe(200);
    expect(await problemOf(await publishTo({ type: "tick", data: 1 }))).toMatchObject({
      code: "unknown_channel",
    });
    expect(await problemOf(await publishTo({ type: "tick", data: 1, channel: "other" }))).toMatchObject({
      code: "unknown_channel",
    });
  });

  it("and every admin route are closed where the deployment has no token", async () => {
    const { PUBLISH_TOKEN: _publish, ADMIN_TOKEN: _admin, ...closed } = env;
    for (const [method, path] of [
      ["POST", "/api/publish"],
      ["GET", "/api/admin/clients"],
      ["DELETE", "/api/admin/clients/x"],
      ["POST", "/api/admin/drain"],
      ["POST", "/api/admin/resume"],
    ] as const) {
      for (const Authorization of ["", "Bearer undefined", "Bearer "]) {
        const request = new Request(`https://edge-sse.test${path}`, { method, headers: { Authorization } });
        const response = await answerRequest(request, closed);
        expect(await problemOf(response)).toEqual({ status: 503, code: "not_configured" });
      }
    }
  });

  it.each(["GET", "HEAD", "POST", "DELETE", "OPTIONS"])(
    "has no route to stop the service by %s where nobody has given it one",
    async (method) => {
      const response = await send("/api/admin/shutdown", {
        method,
        headers: { Authorization: "Bearer admin" },
      });
      expect(response.status).toBe(404);
      expect(response.headers.get("Allow")).toBeNull();
    },
  );
});

describe("a channel that the configuration does not allow", () => {
  it.each([
    ["GET", "/api/events"],
    ["HEAD", "/api/events"],
    ["POST", "/api/publish"],
    ["GET", "/api/history"],
    ["GET", "/health"],
    ["GET", "/metrics"],
    ["GET", "/api/admin/clients"],
    ["DELETE", "/api/admin/clients/x"],
    ["POST", "/api/admin/drain"],
    ["POST", "/api/admin/resume"],
  ])("is not there for %s %s, and no object is made for it", async (method, path) => {
    const channel = newChannel();
    const closed = { ...env, CHANNELS: { allowed: ["default"] } };
    const token = path.startsWith("/api/admin") ? "admin" : "publish";
    const request = new Request(`https://edge-sse.test${path}?channel=${channel}`, {
      method,
      headers: { Authorization: `Bearer ${token}` },
    });
    const response = await answerRequest(request, closed);
    expect(response.status).toBe(404);
    expect(method === "HEAD" || (await response.json<Problem>()).code === "unknown_channel").toBe(true);
    const known = newChannel();
    await publish(known, tick());
    const ids = (await listDurableObjectIds(env.HUBS)).map(String);
    expect(ids).toContain(String(env.HUBS.idFromName(known)));
    expect(ids).not.toContain(String(env.HUBS.idFromName(channel)));
  });
});

/** What the health says of a channel. */
async function healthOf(channel: string, deployment: typeof env, token?: string): Promise<unknown> {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const request = new Request(`https://edge-sse.test/health?channel=${channel}`, { headers });
  return (await (await answerRequest(request, deployment)).json<{ sse: unknown }>()).sse;
}

describe("the health through the Worker, where its numbers are guarded", () => {
  const guarded = { ...env, AUTH: { ...env.AUTH, metrics: ["token" as const] }, METRICS_TOKEN: "metrics" };

  it("shows the state alone while a channel is drained", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    await hubPortOf(channel).drain(Date.now() + 60_000, null);
    expect(await healthOf(channel, guarded)).toEqual({ channel, status: "draining", reasons: [] });
    expect(await healthOf(channel, guarded, "metrics")).toHaveProperty("draining_until");
  });

  it("shows the state alone when the hub cannot be reached", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    const HUBS = new Proxy(env.HUBS, {
      get() {
        throw new Error("unreachable");
      },
    });
    const log = vi.spyOn(console, "log").mockReturnValue();
    const state = { channel, status: "degraded", reasons: ["hub_unreachable"] };
    expect(await healthOf(channel, { ...guarded, HUBS })).toEqual(state);
    const numbers = { active_connections: null, max_connections: PLACES, last_event_id: null };
    expect(await healthOf(channel, { ...guarded, HUBS }, "metrics")).toEqual({ ...state, ...numbers });
    log.mockRestore();
  });
});

describe("the history through the Worker", () => {
  it("tells of a gap as the stream does", async () => {
    const channel = newChannel();
    await publish(channel, tick(), tick());
    const page = await (await send(`/api/history?channel=${channel}&after=9`)).json();
    expect(page).toEqual({
      events: [1, 2].map((id) => expect.objectContaining({ id: String(id), type: "tick" })),
      next: "2",
      more: false,
      oldest_id: "1",
      latest_id: "2",
      gap: { requested_id: "9", oldest_id: "1", latest_id: "2", reason: "unknown" },
    });
  });

  it("answers 1 MiB at most, and all of it in the end", async () => {
    const channel = newChannel();
    const ids = { project_id: "ä".repeat(128), agent_id: "€".repeat(128) };
    const event = { type: "x".repeat(64), data: "d".repeat(200), ...ids };
    for (let count = 0; count < 4; count++) {
      await publish(channel, ...Array.from({ length: 500 }, () => event));
    }
    const seen: string[] = [];
    for (let after = "", more = true; more;) {
      const response = await send(`/api/history?channel=${channel}&limit=1000&after=${after}`);
      const text = await response.text();
      expect(new TextEncoder().encode(text).byteLength).toBeLessThanOrEqual(1024 * 1024);
      const page = JSON.parse(text) as { events: { id: string }[]; next: string; more: boolean };
      seen.push(...page.events.map(({ id }) => id));
      [after, more] = [page.next, page.more];
    }
    expect(seen).toEqual(Array.from({ length: 2_000 }, (_, index) => String(index + 1)));
  });

  it("is JSON whatever the data is, and numbers come back as they went in", async () => {
    const channel = newChannel();
    const data = { __proto__x: 1, text: "</script>\u2028", nested: [null, 1.5e-7, -0, "😀"] };
    await publish(channel, { type: "tick", data }, { type: "tick", data: null }, { type: "tick", data: "" });
    const page = await (
      await send(`/api/history?channel=${channel}`)
    ).json<{ events: { data: unknown }[] }>();
    expect(page.events.map((event) => event.data)).toEqual([JSON.parse(JSON.stringify(data)), null, ""]);
  });
});

describe("a client", () => {
  it("is listed with what it asked for, and can be kicked", async () => {
    const channel = newChannel();
    const stream = await openStream(channel, "&types=tick,a*&project_id=7");
    const headers = { Authorization: "Bearer admin" };
    const list = await send(`/api/admin/clients?channel=${channel}`, { headers });
    const id = stream.dataOf("connected")["client_id"];
    expect(await list.json()).toMatchObject({
      channel,
      clients: [
        { id, filter: { types: ["tick", "a*"], project_id: ["7"], agent_id: null }, cursor: "0", lag: 0 },
      ],
    });
    const path = `/api/admin/clients/${String(id)}?channel=${channel}`;
    expect((await send(path, { method: "DELETE", headers })).status).toBe(200);
    await stream.untilEnd();
    expect(stream.dataOf("close")).toMatchObject({ reason: "kicked" });
    expect(await problemOf(await send(path, { method: "DELETE", headers }))).toEqual({
      status: 404,
      code: "unknown_client",
    });
  });

  it("of an `EventSource` of the runtime itself reads the same", async () => {
    const channel = newChannel();
    await publish(channel, tick(1), { type: "tick", data: "€\n😀" });
    const response = await send(`/api/events?channel=${channel}&since=earliest`);
    const source = EventSource.from(response.body as ReadableStream);
    const seen: [string, string][] = [];
    await new Promise<void>((resolve) => {
      source.addEventListener("tick", (event) => {
        const { data, lastEventId } = event as MessageEvent;
        if (seen.push([String(lastEventId), String(data)]) === 2) {
          resolve();
        }
      });
    });
    source.close();
    expect(seen).toEqual([
      ["1", '{"n":1}'],
      ["2", '"€\\n😀"'],
    ]);
  });
});

describe("a bug", () => {
  it("is answered by a bare 500: what broke goes to the log only", async () => {
    await publish("default", tick());
    const broken = {
      ...env,
      get HUBS(): typeof env.HUBS {
        throw new Error("a secret detail");
      },
    };
    const request = new Request("https://edge-sse.test/api/history?channel=default");
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const response = await answerRequest(request, broken);
    const logged = JSON.parse(String(log.mock.lastCall?.[0])) as Record<string, unknown>;
    log.mockRestore();
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(logged).toMatchObject({ level: "error", event: "request_failed", path: "/api/history" });
    expect([logged["error"], logged["request_id"]]).toEqual([
      expect.stringContaining("a secret detail"),
      (JSON.parse(text) as { request_id: string }).request_id,
    ]);
    expect(JSON.parse(text)).toMatchObject({ code: "internal", request_id: expect.any(String) });
    expect(text).not.toContain("secret");
  });
});

describe("an unread stream", () => {
  it("takes no more of the object than what is on the way: the others go on", async () => {
    const channel = newChannel();
    const unread = await send(`/api/events?channel=${channel}`);
    const stream = await openStream(channel);
    const large = { type: "tick", data: "x".repeat(60_000) };
    for (let count = 0; count < 8; count++) {
      await publish(channel, ...Array.from({ length: 10 }, () => large));
    }
    await stream.until(({ ids }) => ids.length === 80);
    expect(stream.ids.at(-1)).toBe(80);
    const late = new OpenStream(unread.body as ReadableStream<Uint8Array>);
    await late.until(({ ids }) => ids.length === 80);
    expect(late.ids).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
    await Promise.all([stream.leave(), late.leave()]);
  });
});
