import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";

let service: Service;
let closed: Service;

beforeAll(async () => {
  [service, closed] = await Promise.all([
    startService({
      config: {
        sse: { max_connections: 1 },
        channels: { allowed: ["default", "full"] },
        cors: {
          allowed_origins: ["https://app.example.com", "https://*.apps.example.com", "http://localhost:3000"],
        },
      },
    }),
    startService(),
  ]);
});

afterAll(() => Promise.all([service.stop(), closed.stop()]));

const listed = [
  "https://app.example.com",
  "https://a.apps.example.com",
  "https://a.b.apps.example.com",
  "http://localhost:3000",
];

const lookAlikes = [
  "https://app.example.com.evil.com",
  "https://evilapp.example.com",
  "https://app.example.comevil.com",
  "https://app-example.com",
  "https://example.com",
  "https://app.example.com:443",
  "https://app.example.com:444",
  "https://app.example.com.",
  "https://app.example.com/",
  "https://app.example.com/path",
  "https://app.example.com?x",
  "https://app.example.com#x",
  "https://app.example.com@evil.com",
  "https://evil.com@app.example.com",
  "https://user:password@app.example.com",
  "http://app.example.com",
  "HTTPS://app.example.com",
  "https://APP.example.com",
  "https://app.example.com https://evil.com",
  "https://evil.com https://app.example.com",
  "https://app.example.com,https://evil.com",
  "https://app.example.com%00.evil.com",
  "https://app.example.com%2eevil.com",
  "https://app%2eexample.com",
  "https://\u00e0pp.example.com",
  "https://xn--pp-kia.example.com",
  "//app.example.com",
  "app.example.com",
  "*",
  "null",
  "undefined",
  "file://",
  "https://apps.example.com",
  "https://.apps.example.com",
  "https://a..apps.example.com",
  "https://*.apps.example.com",
  "https://evil.com/.apps.example.com",
  "https://evil.com?.apps.example.com",
  "https://evil.com#.apps.example.com",
  "https://evil.com\\.apps.example.com",
  "https://evil.com:1@a.apps.example.com",
  "https://a.apps.example.com.evil.com",
  "https://a.apps.example.com:8443",
  "https://a_b.apps.example.com",
  "https://A.apps.example.com",
  "http://a.apps.example.com",
  "http://localhost",
  "http://localhost:30000",
  "http://localhost:3001",
  "http://127.0.0.1:3000",
  "https://localhost:3000",
];

const corsOf = (headers: Headers | Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    [...(headers instanceof Headers ? headers : Object.entries(headers))].filter(([name]) =>
      name.startsWith("access-control-"),
    ),
  );

const forListed = (origin: string): Record<string, string> => ({
  "access-control-allow-origin": origin,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": "Retry-After",
});

const preflight = (origin: string, method = "GET", headers = "authorization,last-event-id"): RequestInit => ({
  method: "OPTIONS",
  headers: {
    Origin: origin,
    "Access-Control-Request-Method": method,
    "Access-Control-Request-Headers": headers,
  },
});

describe("Without a list of origins", () => {
  it.each(["https://app.example.com", "null", "http://localhost:3000"])(
    "a page of %s reads nothing",
    async (origin) => {
      const answer = await closed.fetch("/health", { headers: { Origin: origin } });
      expect(corsOf(answer.headers)).toEqual({});
      const refused = await closed.fetch("/api/events", preflight(origin));
      expect(refused.status).toBe(405);
      expect(corsOf(refused.headers)).toEqual({});
    },
  );
});

describe("A page of an origin that is not listed", () => {
  it.each(lookAlikes)("cannot read an answer or send a request that needs permission: %s", async (origin) => {
    // Bytes of UTF-8, as a client that is no browser can send them.
    const headers = { Origin: Buffer.from(origin).toString("latin1"), Connection: "close" };
    const answer = await service.raw("/health", { headers });
    expect(corsOf(answer.headers)).toEqual({});
    expect(answer.headers["vary"]).toMatch(/\bOrigin\b/);
    const asked = { ...headers, "Access-Control-Request-Method": "POST" };
    const refused = await service.raw("/api/publish", { method: "OPTIONS", headers: asked });
    expect(refused.status).toBe(405);
    expect(corsOf(refused.headers)).toEqual({});
  });

  it("cannot become a listed one by naming two origins, or by another header", async () => {
    const twice =
      "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
      "Origin: https://app.example.com\r\nOrigin: https://evil.com\r\n\r\n";
    expect(corsOf((await service.raw("/health", { bytes: twice })).headers)).toEqual({});
    const names = ["Referer", "X-Origin", "X-Forwarded-Host", "X-Forwarded-Origin", "Forwarded", "Host"];
    for (const name of names) {
      const headers = {
        [name]: name === "Host" ? "app.example.com" : "https://app.example.com",
        Connection: "close",
      };
      expect(corsOf((await service.raw("/health", { headers })).headers)).toEqual({});
    }
  });
});

describe("A page of a listed origin", () => {
  it.each(listed)("may read answers and send credentials: %s", async (origin) => {
    const answer = await service.fetch("/health", { headers: { Origin: origin } });
    expect(corsOf(answer.headers)).toEqual(forListed(origin));
    expect(answer.headers.get("vary")).toMatch(/\bOrigin\b/);
  });

  it("may read the answer to a request with an invalid URL", async () => {
    const origin = "https://app.example.com";
    const bytes = `GET /health HTTP/1.1\r\nHost: a b\r\nConnection: close\r\nOrigin: ${origin}\r\n\r\n`;
    const answer = await service.raw("/health", { bytes });
    expect(answer.status).toBe(400);
    expect(corsOf(answer.headers)).toEqual(forListed(origin));
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  });

  it("may read streams", async () => {
    const origin = "https://app.example.com";
    const stream = await service.stream({}, { headers: { Origin: origin } });
    expect(corsOf(stream.headers)).toEqual(forListed(origin));
    expect(stream.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    stream.reset();
  });

  it.each([
    ["GET", "/api/nothing", 404],
    ["GET", "/api/events?channel=unknown", 404],
    ["PUT", "/api/publish", 405],
    ["POST", "/api/publish", 401],
    ["GET", "/api/events?types=,", 400],
    ["GET", "/api/admin/clients", 401],
  ])("may read why it was refused: %s %s is %d", async (method, path, status) => {
    const origin = "https://app.example.com";
    const answer = await service.fetch(path, { method, headers: { Origin: origin } });
    expect((await problemOf(answer)).status).toBe(status);
    expect(corsOf(answer.headers)).toEqual(forListed(origin));
  });

  it("may read when to come back", async () => {
    const stream = await service.stream({ channel: "full" });
    const origin = "https://app.example.com";
    const answer = await service.fetch("/api/events?channel=full", { headers: { Origin: origin } });
    expect((await problemOf(answer)).code).toBe("limit");
    expect(answer.headers.get("retry-after")).toBe("5");
    expect(corsOf(answer.headers)).toEqual(forListed(origin));
    stream.reset();
  });

  it.each([
    ["/api/events", "GET", "GET, HEAD"],
    ["/api/publish", "POST", "POST"],
    ["/api/tickets", "POST", "POST"],
    ["/api/history", "GET", "GET, HEAD"],
    ["/api/admin/clients/x", "DELETE", "DELETE"],
  ])(
    "learns from a preflight of %s the methods and headers that it may send",
    async (path, method, methods) => {
      const answer = await service.fetch(path, preflight("https://app.example.com", method));
      expect(answer.status).toBe(204);
      expect(await answer.text()).toBe("");
      const { "access-control-allow-headers": headers = "", ...rest } = corsOf(answer.headers);
      expect(headers.toLowerCase().split(", ")).toEqual(
        expect.arrayContaining(["authorization", "last-event-id", "content-type"]),
      );
      expect(headers).not.toContain("*");
      expect(rest).toEqual({
        ...forListed("https://app.example.com"),
        "access-control-allow-methods": methods,
        "access-control-max-age": "7200",
      });
    },
  );

  it("gets no text of its own back from a preflight", async () => {
    const answer = await service.fetch("/api/events", preflight("https://app.example.com", "EVIL", "x-evil"));
    expect(JSON.stringify([...answer.headers])).not.toMatch(/evil/i);
  });

  it("gets no answer of the route itself with OPTIONS", async () => {
    const answer = await service.fetch("/metrics", {
      method: "OPTIONS",
      headers: { Origin: "https://app.example.com" },
    });
    expect((await problemOf(answer)).code).toBe("method_not_allowed");
  });
});
