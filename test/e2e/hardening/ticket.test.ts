import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { inSeconds, jwtSecret, tokenOf } from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import { adminToken, publishToken, startService, type Service } from "../../support/service.ts";

const subscribeToken = "subscribe-token-of-the-tests";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      limits: { max_connects_per_minute_per_address: 0, max_connections_per_address: 0 },
      auth: {
        subscribe: ["token", "jwt"],
        publish: ["token", "jwt"],
        admin: ["token", "jwt"],
        metrics: ["token", "jwt"],
      },
    },
    env: {
      SUBSCRIBE_TOKEN: subscribeToken,
      METRICS_TOKEN: "metrics-token-of-the-tests",
      JWT_SECRET: jwtSecret,
    },
  });
});

const bought: string[] = [];

/** No ticket, used or not, and no token that bought one is in the log, and no request ran into a bug. */
function expectCleanLog(): void {
  expect(service.output).toContain('"event":');
  for (const text of [...bought, subscribeToken, jwtSecret, "eyJ", "request_failed"]) {
    expect(service.output).not.toContain(text);
  }
}

afterEach(expectCleanLog);

afterAll(async () => {
  await service.stop();
  expectCleanLog();
});

async function buy(token = subscribeToken): Promise<string> {
  const answer = await service.fetch("/api/tickets", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const { ticket, expires_in } = (await answer.json()) as { ticket: string; expires_in: number };
  expect(expires_in).toBe(30);
  bought.push(ticket);
  return ticket;
}

/** The status of a connect, which is then left. */
async function use(ticket: string, method = "GET"): Promise<number> {
  const stream = await service.raw(`/api/events?ticket=${ticket}`, { method });
  stream.reset();
  return stream.status;
}

describe("A ticket", () => {
  it("opens one stream, and no second one", async () => {
    const ticket = await buy();
    expect(await use(ticket)).toBe(200);
    expect(await use(ticket)).toBe(401);
    expect(await use(ticket)).toBe(401);
  });

  it("opens one of 50 streams that are requested at the same time", async () => {
    const ticket = await buy();
    const statuses = await Promise.all(Array.from({ length: 50 }, () => use(ticket)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 401)).toHaveLength(49);
  });

  it("is not used up by HEAD, by a wrong method, or by another route", async () => {
    const ticket = await buy();
    expect(await use(ticket, "HEAD")).not.toBe(200);
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      expect(await use(ticket, method)).toBe(405);
    }
    expect((await service.fetch(`/api/history?ticket=${ticket}`)).status).toBe(401);
    expect(await use(ticket)).toBe(200);
  });

  it("is not used up by a request that accepts no stream", async () => {
    const ticket = await buy();
    const answer = await service.fetch(`/api/events?ticket=${ticket}`, {
      headers: { Accept: "application/json" },
    });
    expect(answer.status).toBe(406);
    expect(await use(ticket)).toBe(200);
  });

  it("has 256 random bits", async () => {
    const tickets = await Promise.all(Array.from({ length: 100 }, () => buy()));
    expect(new Set(tickets).size).toBe(100);
    for (const ticket of tickets) {
      expect(ticket).toMatch(/^[0-9a-f]{64}$/);
    }
    // No two begin alike: the first half alone tells nothing of the next one.
    expect(new Set(tickets.map((ticket) => ticket.slice(0, 8))).size).toBe(100);
  });

  it.each<[what: string, forge: (ticket: string) => string]>([
    ["in upper case", (ticket) => ticket.replace(/^./, "a").toUpperCase()],
    ["cut by one", (ticket) => ticket.slice(0, -1)],
    ["longer by one", (ticket) => `${ticket}0`],
    [
      "that differs in its last digit",
      (ticket) => `${ticket.slice(0, -1)}${ticket.endsWith("0") ? "1" : "0"}`,
    ],
    [
      "that differs in its first digit",
      (ticket) => `${ticket.startsWith("0") ? "1" : "0"}${ticket.slice(1)}`,
    ],
    ["with a blank", (ticket) => `${ticket}%20`],
    ["with a line end", (ticket) => `${ticket}%0A`],
    ["with NUL", (ticket) => `${ticket}%00`],
    ["with a wildcard", () => "%25"],
    ["that is SQL", () => "'%20OR%201=1%20--"],
    ["that is empty", () => ""],
    ["of zeros", () => "0".repeat(64)],
    ["that is __proto__", () => "__proto__"],
    ["that is the token", () => subscribeToken],
    ["of 8 KiB", () => "0".repeat(8_192)],
  ])("%s opens no stream, and does not use up the real ticket", async (_what, forge) => {
    const ticket = await buy();
    expect(await use(forge(ticket))).toBe(401);
    expect(await use(ticket)).toBe(200);
  });

  it("is not used if it is the second one in a request", async () => {
    const ticket = await buy();
    expect(await use(`${"0".repeat(64)}&ticket=${ticket}`)).not.toBe(200);
    expect(await use(`${"0".repeat(64)},${ticket}`)).toBe(401);
  });

  it("is not accepted as a bearer token, as a cookie or on another route", async () => {
    const ticket = await buy();
    const headers = { Authorization: `Bearer ${ticket}` };
    const asked: [path: string, init: RequestInit][] = [
      ["/api/events", { headers }],
      ["/api/history", { headers }],
      ["/api/tickets", { method: "POST", headers }],
      ["/api/publish", { method: "POST", headers }],
      ["/api/admin/clients", { headers }],
      ["/metrics", { headers }],
      [`/api/publish?ticket=${ticket}`, { method: "POST" }],
      [`/api/tickets?ticket=${ticket}`, { method: "POST" }],
      [`/api/admin/clients?ticket=${ticket}`, {}],
      [`/api/admin/drain?ticket=${ticket}`, { method: "POST" }],
      [`/metrics?ticket=${ticket}`, {}],
      ["/api/history", { headers: { Cookie: `__Host-edge_sse=${ticket}`, "Sec-Fetch-Site": "same-origin" } }],
    ];
    for (const [path, init] of asked) {
      expect({ path, status: (await service.fetch(path, init)).status }).toEqual({ path, status: 401 });
    }
    expect(await use(ticket)).toBe(200);
  });

  it("that is wrong is not rescued by a valid token", async () => {
    const answer = await service.fetch(`/api/events?ticket=${"0".repeat(64)}`, {
      headers: { Authorization: `Bearer ${subscribeToken}` },
    });
    expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
  });

  it.each([
    ["a request without a token", null],
    ["a publisher's token", publishToken],
    ["an admin's token", adminToken],
    ["a forged token", "eyJhbGciOiJub25lIn0.e30."],
  ])("is not sold to %s", async (_what, token) => {
    const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
    const answer = await service.fetch("/api/tickets", { method: "POST", headers });
    expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
  });

  it("is not sold for a token that has expired or may not subscribe", async () => {
    for (const [claims, status] of [
      [{ edge_sse: { subscribe: {} }, exp: inSeconds(-60) }, 401],
      [{ edge_sse: { publish: {} } }, 403],
      [{}, 403],
    ] as const) {
      const headers = { Authorization: `Bearer ${await tokenOf(claims)}` };
      expect((await service.fetch("/api/tickets", { method: "POST", headers })).status).toBe(status);
    }
  });

  it("opens no channel that its token does not grant", async () => {
    const token = await tokenOf({ edge_sse: { subscribe: { channels: ["mine"] } } });
    const refused = await service.fetch(`/api/events?channel=theirs&ticket=${await buy(token)}`);
    expect(await problemOf(refused)).toMatchObject({ status: 404, code: "unknown_channel" });
    const stream = await service.stream({ channel: "mine", ticket: await buy(token) });
    stream.reset();
  });

  it("reads no event that its token does not grant", async () => {
    const token = await tokenOf({ edge_sse: { subscribe: { types: ["turn_*"], project_id: [7] } } });
    const ticket = await buy(token);
    await service.publish(
      [
        { type: "turn_a", data: { project_id: 8 } },
        { type: "other", data: { project_id: 7 } },
        { type: "turn_b", data: { project_id: 7 } },
      ],
      "narrow",
    );
    const stream = await service.stream({ channel: "narrow", ticket, since: "earliest", types: "*" });
    expect((await stream.collect(1)).map(({ type }) => type)).toEqual(["turn_b"]);
    expect(stream.text).not.toContain("other");
    stream.reset();
  });
});
