import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createAttacker, statuses, type Ask, type Attacker } from "../../support/attacker.ts";
import { adminToken, publishToken, startService, type Service } from "../../support/service.ts";

const BUDGET = 60;

const EXEMPT = "127.0.0.1";

const config = {
  channels: { allowed: ["default", "board-*"] },
  limits: {
    exempt_addresses: [EXEMPT],
    max_requests_per_minute_per_address: BUDGET,
    max_new_channels_per_hour_per_address: 0,
  },
  logging: { level: "warn" },
};

const nobody = { Authorization: "Bearer nobody" };
const event = '{"type":"a","data":1}';

/** Every kind of anonymous request, including invalid ones. */
const anonymous: readonly Ask[] = [
  { method: "HEAD", path: "/api/events" },
  { method: "HEAD", path: "/api/events?channel=board-1" },
  { path: "/api/events?typo=1" },
  { path: "/api/history" },
  { path: "/api/history?channel=board-1" },
  { method: "POST", path: "/api/tickets" },
  { path: "/health" },
  { path: "/health?channel=board-2" },
  { path: "/metrics" },
  { path: `/health?${"x".repeat(20_000)}` },
  { path: `/health?${"a=1&".repeat(600)}` },
  { path: "/nothing-here" },
  { path: "/" },
  { path: "/sse-client.js" },
  { method: "PUT", path: "/api/history" },
  { method: "GET", path: "/api/publish" },
  { method: "POST", path: "/api/publish", body: event },
  { method: "POST", path: "/api/publish?channel=other", headers: nobody, body: event },
  { method: "POST", path: "/api/admin/drain", headers: nobody },
  { path: "/api/admin/clients" },
];

let service: Service;
let attacker: Attacker;
let addresses = 60;

beforeAll(async () => {
  service = await startService({ config });
});

afterAll(() => service.stop());

beforeEach(() => {
  attacker = createAttacker(service.url, `127.0.0.${addresses++}`);
});

afterEach(() => attacker.leave());

/** Uses up the budget of the attacker's address. */
async function useUp(): Promise<void> {
  const asks = Array.from({ length: BUDGET }, (_, n) => anonymous[n % anonymous.length] as Ask);
  const answers = await attacker.askAll(asks);
  expect(statuses(answers)[429]).toBeUndefined();
}

describe("The budget of an address", () => {
  it("covers all channels and routes: when it is used up, each of them answers 429 with Retry-After", async () => {
    await useUp();
    for (const ask of anonymous) {
      const { status, retryAfter, text } = await attacker.ask(ask);
      expect([ask.path, status, Number(retryAfter) > 30 && Number(retryAfter) <= 60]).toEqual([
        ask.path,
        429,
        true,
      ]);
      expect(text).toContain(ask.method === "HEAD" ? "" : '"code":"rate_limited"');
    }
  });

  it("is separate from that of another address", async () => {
    await useUp();
    const other = createAttacker(service.url, `127.0.0.${addresses++}`);
    expect((await other.ask({ path: "/health" })).status).toBe(200);
    other.leave();
  });

  it("does not exist for an exempt address", async () => {
    const exempt = createAttacker(service.url, EXEMPT);
    const answers = await exempt.askAll(Array.from({ length: 2 * BUDGET }, () => ({ path: "/health" })));
    expect(statuses(answers)).toEqual({ 200: 2 * BUDGET });
    exempt.leave();
  });

  it("is not charged for publishes and administration with a valid token, before and after it is used up", async () => {
    const publish = {
      method: "POST",
      path: "/api/publish?channel=board-1",
      headers: { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/json" },
      body: event,
    };
    const list = { path: "/api/admin/clients", headers: { Authorization: `Bearer ${adminToken}` } };
    const asks = Array.from({ length: BUDGET + 1 }, () => [publish, list]).flat();
    expect(statuses(await attacker.askAll(asks))).toEqual({ 200: asks.length });
    await useUp();
    expect(statuses(await attacker.askAll(asks))).toEqual({ 200: asks.length });
  });

  it("stops the guessing of tokens on every route that accepts one", async () => {
    const guesses = Array.from({ length: 3 * BUDGET }, (_, n) => ({
      method: "POST",
      path: n % 2 === 0 ? "/api/publish" : "/api/admin/resume",
      headers: { Authorization: `Bearer guess-${n}`, "Content-Type": "application/json" },
      body: event,
    }));
    expect(statuses(await attacker.askAll(guesses))).toEqual({ 401: BUDGET, 429: 2 * BUDGET });
  });

  it("refuses streams, with on_busy=stream in a stream", async () => {
    const localAddress = `127.0.0.${addresses++}`;
    const answers = await Promise.all(
      Array.from({ length: BUDGET + 1 }, async (_, n) => {
        const stream = await service.raw(`/api/events?channel=board-${n}`, { localAddress });
        stream.reset();
        return stream;
      }),
    );
    expect(statuses(answers)).toEqual({ 200: BUDGET, 429: 1 });
    const told = await service.raw("/api/events?on_busy=stream", { localAddress });
    expect(told.status).toBe(200);
    const close = JSON.parse((await told.nextEvent({ type: "close" })).data) as Record<string, unknown>;
    expect(close).toMatchObject({ reason: "limit" });
    expect(close["retry_after_ms"]).toBeGreaterThan(30_000);
    await told.untilClosed();
  });

  it("cannot be avoided by a forged header or another spelling of a route", async () => {
    await useUp();
    for (const path of ["/health/", "//health", "/HEALTH", "/api/events?on_busy=stream2", "/api/publish/"]) {
      const headers = { "CF-Connecting-IP": "203.0.113.7", "X-Forwarded-For": "203.0.113.7" };
      expect([path, (await attacker.ask({ path, headers })).status]).toEqual([path, 429]);
    }
  });

  it("writes one log line a second, however many requests it refuses", async () => {
    await useUp();
    const before = service.logs.length;
    const startedAt = performance.now();
    const answers = await attacker.askAll(Array.from({ length: 1_000 }, () => ({ path: "/health" })));
    expect(statuses(answers)).toEqual({ 429: 1_000 });
    const seconds = (performance.now() - startedAt) / 1_000;
    expect(service.logs.length - before).toBeLessThan(seconds + 3);
    expect(await service.logged("request_refused", { code: "rate_limited" })).toMatchObject({
      level: "warn",
    });
  });
});

describe("The shipped configuration", () => {
  it("refuses an address after 1,200 requests in a minute, and lets no two addresses fill the default channel", async () => {
    const shipped = await startService({ config: { limits: { exempt_addresses: [] } } });
    const hostile = createAttacker(shipped.url, "127.0.0.66");
    try {
      const asks = Array.from({ length: 1_300 }, () => ({ path: "/health" }));
      expect(statuses(await hostile.askAll(asks))).toEqual({ 200: 1_200, 429: 100 });

      const connect = (localAddress: string) => shipped.raw("/api/events", { localAddress });
      for (const localAddress of ["127.0.0.67", "127.0.0.68"]) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => connect(localAddress)));
        expect(statuses(answers)).toEqual({ 200: 20, 429: 30 });
      }
      expect((await connect("127.0.0.69")).status).toBe(200);
    } finally {
      hostile.leave();
      await shipped.stop();
    }
  });
});
