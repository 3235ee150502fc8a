import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { ConnectRequest } from "../../src/hub/audience/audience.ts";
import { isExcepted } from "../support/host.ts";
import { problemOf } from "../support/problem.ts";
import { adminToken, publishToken, startService, type Service } from "../support/service.ts";

const subscribeToken = "subscribe-token-of-the-tests";
const olderToken = "subscribe-token-that-goes-soon";
const metricsToken = "metrics-token-of-the-tests";

let service: Service;
let open: Service;
let unconfigured: Service;

beforeAll(async () => {
  const channels = { allowed: ["default", "crlf-*", "sent-*"] };
  [service, open, unconfigured] = await Promise.all([
    startService({
      config: { channels, auth: { subscribe: "token", metrics: "token" } },
      env: { SUBSCRIBE_TOKEN: ` ${olderToken} , ${subscribeToken},`, METRICS_TOKEN: metricsToken },
    }),
    startService({ config: { channels } }),
    startService({
      config: { auth: { subscribe: "token", metrics: "token" } },
      env: { PUBLISH_TOKEN: "", ADMIN_TOKEN: " , ,", SUBSCRIBE_TOKEN: "" },
    }),
  ]);
});

/** No secret is in a log, and no request ran into a bug. */
function expectCleanLogs(): void {
  for (const { output } of [service, open, unconfigured]) {
    expect(output).toContain('"event":');
    expect(output).not.toMatch(/request_failed|token-of|token-that/);
  }
}

afterEach(expectCleanLogs);

afterAll(async () => {
  await Promise.all([service, open, unconfigured].map((each) => each.stop()));
  expectCleanLogs();
});

const guarded: [group: string, method: string, path: string, token: string][] = [
  ["publish", "POST", "/api/publish", publishToken],
  ["subscribe", "GET", "/api/events", subscribeToken],
  ["subscribe", "HEAD", "/api/events", subscribeToken],
  ["subscribe", "GET", "/api/history", subscribeToken],
  ["subscribe", "POST", "/api/tickets", subscribeToken],
  ["admin", "GET", "/api/admin/clients", adminToken],
  ["admin", "DELETE", "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f", adminToken],
  ["admin", "POST", "/api/admin/drain", adminToken],
  ["admin", "POST", "/api/admin/resume", adminToken],
  ["metrics", "GET", "/metrics", metricsToken],
];

const wrong: [what: string, authorization: (token: string) => string | null][] = [
  ["no token", () => null],
  ["an empty one", () => "Bearer "],
  ["one without a scheme", (token) => token],
  ["another scheme", (token) => `Basic ${btoa(`:${token}`)}`],
  ["a scheme of two words", (token) => `Bearer Bearer ${token}`],
  ["the token but for its last character", (token) => `Bearer ${token.slice(0, -1)}`],
  ["the token and one character", (token) => `Bearer ${token}x`],
  ["the token in upper case", (token) => `Bearer ${token.toUpperCase()}`],
  ["the token and a comma", (token) => `Bearer ${token},`],
  ["the token in quotes", (token) => `Bearer "${token}"`],
  ["a comma alone", () => "Bearer ,"],
  ["undefined", () => "Bearer undefined"],
  ["a list of guesses", (token) => `Bearer ${token} ${token}`],
];

/** Asks for `*`, which is no path. */
const withoutPath = (method: string) =>
  open.raw("/", { bytes: `${method} * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n` });

describe("A guarded route needs its token", () => {
  it.each(
    guarded.flatMap(([group, method, path, token]) =>
      wrong.map(([what, form]) => ({ group, method, path, what, sent: form(token) })),
    ),
  )("$method $path refuses $what", async ({ method, path, sent }) => {
    const answer = await service.fetch(path, {
      method,
      headers: sent === null ? {} : { Authorization: sent },
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="edge-sse"');
    const text = await answer.text();
    expect(text).not.toMatch(/token-of|goes-soon|at \w+ \(|\.ts:|stack/);
  });

  it.each(
    guarded.flatMap(([group, method, path]) =>
      guarded
        .filter(([other]) => other !== group)
        .map(([other, , , token]) => [method, path, other, token] as const),
    ),
  )("%s %s is not opened by the token of %s", async (method, path, _other, token) => {
    const answer = await service.fetch(path, { method, headers: { Authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(401);
  });

  it.each([subscribeToken, olderToken])("any of several tokens opens the route: %s", async (token) => {
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      const answer = await service.fetch("/api/history", {
        headers: { Authorization: `${scheme} ${token}` },
      });
      expect(answer.status).toBe(200);
    }
    const both = await service.fetch("/api/history", {
      headers: { Authorization: `Bearer ${olderToken},${subscribeToken}` },
    });
    expect(both.status).toBe(401);
  });

  it.each(guarded)("a route without a secret is closed: %s, %s %s", async (_group, method, path) => {
    for (const authorization of [null, "Bearer ", "Bearer ,", "Bearer undefined", `Bearer ${publishToken}`]) {
      const headers: Record<string, string> = authorization === null ? {} : { Authorization: authorization };
      expect((await unconfigured.fetch(path, { method, headers })).status).toBe(503);
    }
  });

  it("health shows no numbers where they are guarded", async () => {
    const answer = await service.fetch("/health");
    expect(Object.keys(((await answer.json()) as { sse: object }).sse)).toEqual([
      "channel",
      "status",
      "reasons",
    ]);
  });
});

const head = (lines: readonly string[], first = "GET /api/history HTTP/1.1"): string =>
  `${[first, "Host: localhost", "Connection: close", ...lines].join("\r\n")}\r\n\r\n`;

/** The statuses of everything that a connection answers before it ends. */
async function statusesOf(bytes: string): Promise<number[]> {
  const answer = await service.raw("/", { bytes }).catch(() => null);
  if (answer === null) {
    return [];
  }
  await answer.untilClosed();
  const rest = [...answer.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  answer.reset();
  return [answer.status, ...rest];
}

describe("No shape of a request opens a guarded route", () => {
  const good = `Authorization: Bearer ${subscribeToken}`;

  it.each<[what: string, bytes: string]>([
    ["a good token after a bad one", head(["Authorization: Bearer wrong", good])],
    ["a good token before a bad one", head([good, "Authorization: Bearer wrong"])],
    ["the same token twice", head([good, good])],
    ["a folded header", head([`Authorization: Bearer\r\n ${subscribeToken}`])],
    ["a header folded by a tab", head([`Authorization:\r\n\tBearer ${subscribeToken}`])],
    ["a blank before the colon", head([`Authorization : Bearer ${subscribeToken}`])],
    ["NUL in a header", head([`Authorization: Bearer \u0000${subscribeToken}`])],
    ["CR in a header", head([`X: a\rAuthorization: Bearer ${subscribeToken}`])],
    ["a header in the target", head([], `GET /api/history?x=%0d%0a${encodeURIComponent(good)} HTTP/1.1`)],
    ["a token in the target", head([], `GET /api/history?access_token=${subscribeToken} HTTP/1.1`)],
    [
      "credentials in an absolute target",
      head([], `GET http://x:${subscribeToken}@localhost/api/history HTTP/1.1`),
    ],
    [
      "another path in a header",
      head(
        ["X-Original-URL: /api/history", "X-Rewrite-URL: /api/history"],
        "GET /api/admin/clients HTTP/1.1",
      ),
    ],
    [
      "the header of another hop",
      head([
        `X-Forwarded-For: 127.0.0.1`,
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "CF-Connecting-IP: 127.0.0.1",
      ]),
    ],
    ["a path with dots", head([], "GET /health/../api/history HTTP/1.1")],
    ["a path with two slashes", head([], "GET //api/history HTTP/1.1")],
    ["an encoded path", head([], "GET /api%2fhistory HTTP/1.1")],
    ["a path encoded twice", head([], "GET /api%252fhistory HTTP/1.1")],
    ["a path in upper case", head([], "GET /API/HISTORY HTTP/1.1")],
    ["a path with a parameter", head([], "GET /api/history;x=/health HTTP/1.1")],
    ["a path with overlong slashes", head([], "GET /api%c0%afhistory HTTP/1.1")],
    ["a path that ends in NUL", head([], "GET /api/history%00.html HTTP/1.1")],
    ["a path with a backslash", head([], String.raw`GET \api\history HTTP/1.1`)],
    ["a method in lower case", head([], "get /api/history HTTP/1.1")],
    ["a method of its own", head([], "GETX /api/history HTTP/1.1")],
    ["no path at all", head([], "GET * HTTP/1.1")],
    ["a host with a star", head(["Host: *"])],
    ["HTTP/0.9", "GET /api/history\r\n\r\n"],
    ["HTTP/2 in plain text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a request to a proxy", head([], "CONNECT localhost:443 HTTP/1.1")],
    ["an upgrade", head(["Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"])],
  ])("a request is not let in by %s", async (_what, bytes) => {
    expect((await statusesOf(bytes)).filter((status) => status < 400)).toEqual([]);
  });

  it.each<[what: string, lines: string[]]>([
    ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["chunks and a length", ["Transfer-Encoding: chunked", "Content-Length: 4"]],
    ["two lengths", ["Content-Length: 0", "Content-Length: 60"]],
    ["a list of lengths", ["Content-Length: 0, 60"]],
    ["a negative length", ["Content-Length: -1"]],
    ["a length with a sign", ["Content-Length: +0"]],
    ["a length in hexadecimal", ["Content-Length: 0x0"]],
    ["a huge length", ["Content-Length: 99999999999999999999"]],
    ["chunks by another name", ["Transfer-Encoding: xchunked"]],
    ["chunks after something else", ["Transfer-Encoding: identity, chunked"]],
    ["chunks with a tab", ["Transfer-Encoding:\tchunked"]],
    ["chunks twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]],
    ["chunks by a blank before the colon", ["Transfer-Encoding : chunked"]],
  ])("a second request that is hidden in the body by %s is not answered", async (_what, lines) => {
    const hidden = head([good]);
    const bytes = `POST /api/nothing HTTP/1.1\r\nHost: localhost\r\n${lines.join("\r\n")}\r\n\r\n0\r\n\r\n${hidden}`;
    const statuses = await statusesOf(bytes);
    // A second request on the same connection is one that its sender may make; it must never get another one's answer.
    expect(statuses.length).toBeLessThanOrEqual(2);
    expect(statuses[0] ?? 400).toBeGreaterThanOrEqual(400);
  });

  it.each(["GET", "OPTIONS"])("a target that is not a path breaks nothing: %s *", async (method) => {
    const answer = await withoutPath(method);
    await answer.untilClosed();
    expect([400, 404]).toContain(answer.status);
  });

  it.skipIf(isExcepted("a problem that says that a target is no path")).each(["GET", "OPTIONS"])(
    "a target that is not a path is an invalid request: %s *",
    async (method) => {
      const answer = await withoutPath(method);
      await answer.untilClosed();
      expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_request" });
    },
  );

  it.each(["GET / HTTP/1.1\r\nHost: a*b", "GET / HTTP/1.1\r\nHost: a!b"])(
    "a malformed Host breaks nothing: %j",
    async (request) => {
      const answer = await open.raw("/", { bytes: `${request}\r\nConnection: close\r\n\r\n` });
      await answer.untilClosed();
      expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_request" });
    },
  );

  it.each(["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])(
    "%s changes no method",
    async (name) => {
      const answer = await open.fetch("/api/events", { method: "POST", headers: { [name]: "GET" } });
      expect((await problemOf(answer)).code).toBe("method_not_allowed");
      const other = await open.fetch("/api/history", { headers: { [name]: "DELETE" } });
      expect(other.status).toBe(200);
    },
  );

  it.each(["GET", "HEAD"])(
    "the header that carries a stream's request inside does nothing from outside: %s",
    async (method) => {
      const wanted: ConnectRequest = {
        terms: {},
        start: { lastEventId: "0", logName: null, since: "earliest" },
        endsAt: null,
        address: null,
      };
      for (const value of [encodeURIComponent(JSON.stringify(wanted)), "%", "null", "{}"]) {
        const headers = { "Stream-Request": value };
        expect((await service.fetch("/api/events", { method, headers })).status).toBe(401);
        const stream = await open.raw("/api/events?channel=sent-1&types=x", { method, headers });
        expect(stream.status).toBe(200);
        stream.reset();
      }
    },
  );

  it.each([null, adminToken, "", "undefined", "null"])(
    "a request from outside does not shut the service down, with %j",
    async (token) => {
      const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
      const answer = await service.fetch("/api/admin/shutdown", { method: "POST", headers });
      expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
      expect((await service.health()).status).toBe("healthy");
    },
  );
});
