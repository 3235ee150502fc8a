import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";

import type { Env } from "../../src/edge/env.ts";
import type { Principal } from "../../src/service/access/principal.ts";
import { answerRequest } from "../../src/edge/host.ts";
import { unwrap } from "../../src/service/answer.ts";
import type { TicketsRpc } from "../../src/edge/objects.ts";
import { newChannel, OpenStream, publish, send, tick } from "./service.ts";

const SECOND = 1_000;
const ALICE: Principal = { subject: "alice", grant: { channels: ["a"] }, endsAt: null };
const DIGITS = [..."0123456789abcdef"];

/** An object of its own, beside those of the service. */
function newKeeper(): DurableObjectStub<TicketsRpc> {
  return env.TICKETS.get(env.TICKETS.newUniqueId());
}

function rowsOf(keeper: DurableObjectStub<TicketsRpc>): Promise<Record<string, SqlStorageValue>[]> {
  return runInDurableObject(keeper, (_, { storage }) => storage.sql.exec("SELECT * FROM tickets").toArray());
}

function alarmOf(keeper: DurableObjectStub<TicketsRpc>): Promise<number | null> {
  return runInDurableObject(keeper, (_, { storage }) => storage.getAlarm());
}

/** Tickets that wait, of one subject or each of its own. */
async function fill(
  keeper: DurableObjectStub<TicketsRpc>,
  count: number,
  subject: string | null,
  expiresAt: number,
): Promise<void> {
  const insert = `
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO tickets (digest, subject, principal, expires_at)
    SELECT 'filled-' || n, coalesce(?, 'subject-' || n), '{}', ? FROM numbers`;
  await runInDurableObject(keeper, (_, { storage }) => {
    storage.sql.exec(insert, count, subject, expiresAt);
  });
}

function setTime(now: number): void {
  vi.useFakeTimers({ now, toFake: ["Date"] });
}

afterEach(() => {
  vi.useRealTimers();
});

describe("an object that keeps tickets", () => {
  it("gives each ticket away once, with its owner", async () => {
    const keeper = newKeeper();
    expect(unwrap(await keeper.keep("digest", ALICE, Date.now() + 30 * SECOND, null))).toBe(true);
    expect(unwrap(await keeper.take("digest"))).toEqual(ALICE);
    expect(unwrap(await keeper.take("digest"))).toBeNull();
    expect(unwrap(await keeper.take("another"))).toBeNull();
  });

  it("gives a ticket to one of a hundred requests that ask for it at the same time", async () => {
    const keeper = newKeeper();
    await keeper.keep("digest", ALICE, Date.now() + 30 * SECOND, null);
    const taken = await Promise.all(Array.from({ length: 100 }, () => keeper.take("digest")));
    expect(taken.map(unwrap).filter((each) => each !== null)).toEqual([ALICE]);
  });

  it("gives no expired ticket away, and forgets it", async () => {
    const keeper = newKeeper();
    const now = Date.now();
    setTime(now);
    for (const digest of ["early", "late"]) {
      await keeper.keep(digest, ALICE, now + 30 * SECOND, null);
    }
    setTime(now + 30 * SECOND - 1);
    expect(unwrap(await keeper.take("early"))).toEqual(ALICE);
    setTime(now + 30 * SECOND);
    expect(unwrap(await keeper.take("late"))).toBeNull();
    expect(await rowsOf(keeper)).toEqual([]);
  });

  it("has an alarm while it has tickets, and the alarm forgets the expired ones", async () => {
    const keeper = newKeeper();
    const now = Date.now();
    setTime(now);
    expect(await alarmOf(keeper)).toBeNull();
    await keeper.keep("first", ALICE, now + 30 * SECOND, null);
    expect(await alarmOf(keeper)).toBe(now + 30 * SECOND);
    setTime(now + 10 * SECOND);
    await keeper.keep("second", ALICE, now + 40 * SECOND, null);
    expect(await alarmOf(keeper)).toBe(now + 30 * SECOND);

    setTime(now + 30 * SECOND);
    expect(await runDurableObjectAlarm(keeper)).toBe(true);
    expect((await rowsOf(keeper)).map(({ digest }) => digest)).toEqual(["second"]);
    expect(await alarmOf(keeper)).toBe(now + 40 * SECOND);

    setTime(now + 40 * SECOND);
    expect(await runDurableObjectAlarm(keeper)).toBe(true);
    expect(await rowsOf(keeper)).toEqual([]);
    expect(await alarmOf(keeper)).toBeNull();
  });

  it("keeps 200 tickets of one subject, and still accepts those of others", async () => {
    const keeper = newKeeper();
    const later = Date.now() + 30 * SECOND;
    await fill(keeper, 199, "alice", later);
    expect(unwrap(await keeper.keep("the 200th", ALICE, later, null))).toBe(true);
    expect(unwrap(await keeper.keep("the 201st", ALICE, later, null))).toBe(false);
    expect(unwrap(await keeper.keep("of bob", { ...ALICE, subject: "bob" }, later, null))).toBe(true);
    expect(unwrap(await keeper.take("the 200th"))).toEqual(ALICE);
    expect(unwrap(await keeper.keep("in its place", ALICE, later, null))).toBe(true);
    expect(unwrap(await keeper.take("the 201st"))).toBeNull();
  });

  it("keeps 20 tickets of one address, and leaves the rest of its subject's share to others", async () => {
    const keeper = newKeeper();
    const later = Date.now() + 30 * SECOND;
    for (let count = 0; count < 20; count++) {
      expect(unwrap(await keeper.keep(`ticket ${count}`, ALICE, later, "198.51.100.1"))).toBe(true);
    }
    expect(unwrap(await keeper.keep("the 21st", ALICE, later, "198.51.100.1"))).toBe(false);
    expect(unwrap(await keeper.keep("of another address", ALICE, later, "198.51.100.2"))).toBe(true);
    expect(unwrap(await keeper.take("ticket 7"))).toEqual(ALICE);
    expect(unwrap(await keeper.keep("in its place", ALICE, later, "198.51.100.1"))).toBe(true);
  });

  it("keeps 20,000 tickets in all, until some of them expire", async () => {
    const keeper = newKeeper();
    const now = Date.now();
    await fill(keeper, 20_000, null, now + 30 * SECOND);
    expect(unwrap(await keeper.keep("one more", ALICE, now + 30 * SECOND, null))).toBe(false);
    setTime(now + 30 * SECOND);
    expect(unwrap(await keeper.keep("one more", ALICE, now + 60 * SECOND, null))).toBe(true);
    expect(await rowsOf(keeper)).toHaveLength(1);
  });
});

interface Ticket {
  readonly ticket: string;
  readonly expires_in: number;
  readonly expires_at: string;
}

const JWT_SECRET = "an-hs256-secret-of-32-bytes-or-more";

/** The service as a deployment would be that lets only some read. */
function guarded(): Env {
  return {
    ...env,
    AUTH: { ...env.AUTH, subscribe: ["token", "jwt"] },
    SUBSCRIBE_TOKEN: `subscribe-${crypto.randomUUID()}`,
    JWT_SECRET,
  };
}

function call(service: Env, path: string, token?: string, method = "GET"): Promise<Response> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return answerRequest(new Request(`https://edge-sse.test${path}`, { method, headers }), service);
}

async function buy(service: Env, token = service.SUBSCRIBE_TOKEN): Promise<Ticket> {
  const response = await call(service, "/api/tickets", token, "POST");
  expect(response.status).toBe(200);
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  return response.json<Ticket>();
}

function jwt(claims: object, endsIn = 600): Promise<string> {
  return new SignJWT({ sub: crypto.randomUUID(), ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(Math.floor(Date.now() / SECOND) + endsIn)
    .sign(new TextEncoder().encode(JWT_SECRET));
}

async function codeOf(response: Response): Promise<[number, string]> {
  const { code } = await response.json<{ code: string }>();
  return [response.status, code];
}

function keeperOf(ticket: string): DurableObjectStub<TicketsRpc> {
  return env.TICKETS.get(env.TICKETS.idFromName(ticket.slice(0, 1)));
}

async function waiting(): Promise<Record<string, SqlStorageValue>[]> {
  return (await Promise.all(DIGITS.map((digit) => rowsOf(keeperOf(digit))))).flat();
}

describe("a ticket", () => {
  it("is sold for a token, and opens one stream", async () => {
    const service = guarded();
    const channel = newChannel();
    const { ticket, expires_in, expires_at } = await buy(service);
    expect(ticket).toMatch(/^[0-9a-f]{64}$/);
    expect(expires_in).toBe(30);
    expect(Math.abs(Date.parse(expires_at) - Date.now() - 30 * SECOND)).toBeLessThan(5 * SECOND);

    const opened = await call(service, `/api/events?channel=${channel}&ticket=${ticket}`);
    expect(opened.status).toBe(200);
    const again = await call(service, `/api/events?channel=${channel}&ticket=${ticket}`);
    expect(await codeOf(again)).toEqual([401, "unauthorized"]);
    await opened.body?.cancel();
  });

  it("opens what its token grants, and no more", async () => {
    const service = guarded();
    const channel = newChannel();
    const token = await jwt({ edge_sse: { subscribe: { channels: [channel], types: ["seen"] } } });
    await publish(channel, tick(1), { type: "seen", data: 2 }, tick(3));
    const { ticket } = await buy(service, token);
    const opened = await call(service, `/api/events?channel=${channel}&since=earliest&ticket=${ticket}`);
    if (opened.body === null) {
      throw new Error("no stream");
    }
    const stream = await new OpenStream(opened.body).until(({ events }) => events.length > 1);
    expect(stream.events.map(({ type, id }) => [type, id])).toEqual([
      ["connected", "0"],
      ["seen", "2"],
    ]);
    await stream.leave();

    const other = await buy(service, token);
    const elsewhere = await call(service, `/api/events?channel=${newChannel()}&ticket=${other.ticket}`);
    expect(await codeOf(elsewhere)).toEqual([404, "unknown_channel"]);
  });

  it("does not outlive the token that bought it", async () => {
    const service = guarded();
    const { ticket, expires_in } = await buy(service, await jwt({ edge_sse: { subscribe: {} } }, 10));
    expect(expires_in).toBeLessThanOrEqual(10);
    setTime(Date.now() + 11 * SECOND);
    expect(await codeOf(await call(service, `/api/events?ticket=${ticket}`))).toEqual([401, "unauthorized"]);
  });

  it("is not in the storage, and neither is the token that bought it", async () => {
    const service = guarded();
    const token = await jwt({ sub: undefined, edge_sse: { subscribe: {} } });
    const { ticket } = await buy(service, token);
    const stored = JSON.stringify(await rowsOf(keeperOf(ticket)));
    expect(stored).toContain("digest");
    for (const secret of [ticket, token, ...token.split(".")]) {
      expect(stored).not.toContain(secret);
    }
  });

  it.each([undefined, "", "wrong", "publish", "admin"])("is not sold for %j", async (token) => {
    const before = await waiting();
    const response = await call(guarded(), "/api/tickets", token, "POST");
    expect(await codeOf(response)).toEqual([401, "unauthorized"]);
    expect(await waiting()).toEqual(before);
  });

  it("is not sold for a token that does not grant reading", async () => {
    const token = await jwt({ edge_sse: { publish: {} } });
    const response = await call(guarded(), "/api/tickets", token, "POST");
    expect(await codeOf(response)).toEqual([403, "forbidden"]);
  });

  it.each(["", "x", "0".repeat(63), "0".repeat(64), "0".repeat(65), "A".repeat(64), `${"0".repeat(63)}%00`])(
    "cannot be made up: %j",
    async (ticket) => {
      const response = await call(guarded(), `/api/events?ticket=${ticket}`);
      expect(await codeOf(response)).toEqual([401, "unauthorized"]);
    },
  );

  it("buys no other ticket, and opens nothing but a stream", async () => {
    const service = guarded();
    const { ticket } = await buy(service);
    for (const [path, method] of [
      ["/api/tickets", "POST"],
      ["/api/history", "GET"],
      ["/api/events", "HEAD"],
    ] as const) {
      const response = await call(service, `${path}?ticket=${ticket}`, undefined, method);
      expect([400, 401]).toContain(response.status);
    }
    const opened = await call(service, `/api/events?channel=${newChannel()}&ticket=${ticket}`);
    expect(opened.status).toBe(200);
    await opened.body?.cancel();
  });

  it("is refused if too many tickets of its subject are unused", async () => {
    const service = guarded();
    const { SUBSCRIBE_TOKEN: token } = service;
    const later = Date.now() + 30 * SECOND;
    await Promise.all(DIGITS.map((digit) => fill(keeperOf(digit), 200, "SUBSCRIBE_TOKEN 0", later)));
    const response = await call(service, "/api/tickets", token, "POST");
    expect(response.headers.get("Retry-After")).toBe("30");
    expect(await codeOf(response)).toEqual([429, "rate_limited"]);
    setTime(later);
    await buy(service);
  });

  it("is worthless where streams are public, and is not stored", async () => {
    const before = await waiting();
    const response = await send("/api/tickets", { method: "POST" });
    expect(response.status).toBe(200);
    const { ticket } = await response.json<Ticket>();
    expect(await waiting()).toEqual(before);
    for (const given of [ticket, ticket, "anything"]) {
      const opened = await send(`/api/events?channel=${newChannel()}&ticket=${given}`);
      expect(opened.status).toBe(200);
      await opened.body?.cancel();
    }
  });
});

describe("the bindings of an isolate", () => {
  it("are the same objects for every request, so that values cached by them, such as keys, stay cached", () => {
    const { AUTH } = env;
    expect(env.AUTH).toBe(AUTH);
  });
});
