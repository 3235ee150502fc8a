import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { inSeconds, jwtSecret, tokenOf } from "../support/jwt.ts";
import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;
let limited: Service;

beforeAll(async () => {
  [service, limited] = await Promise.all([
    startService({
      config: {
        channels: { allowed: ["*"] },
        auth: { subscribe: ["token", "jwt"], jwt: { clock_skew_seconds: 0 } },
      },
      env: { SUBSCRIBE_TOKEN: "subscribe-token-of-the-tests", JWT_SECRET: jwtSecret },
    }),
    startService({
      config: {
        channels: { allowed: ["*"] },
        auth: { publish: ["token", "jwt"] },
        limits: {
          max_connections_per_address: 3,
          max_connects_per_minute_per_address: 10,
          max_publishes_per_minute_per_token: 5,
          exempt_addresses: ["127.0.0.9"],
        },
      },
      env: { JWT_SECRET: jwtSecret, PUBLISH_TOKEN: "the-first-token,the-second-token" },
    }),
  ]);
});

afterAll(() => Promise.all([service.stop(), limited.stop()]));

const closeOf = (stream: RawStream): Promise<string> =>
  stream
    .nextEvent({ type: "close", timeoutMs: 8_000 })
    .then(({ data }) => (JSON.parse(data) as { reason: string }).reason);

const shortLived = (seconds: number, claims: object = {}): Promise<string> =>
  tokenOf({ edge_sse: { subscribe: {} }, exp: inSeconds(seconds), ...claims });

describe("A stream does not outlive the token that opened it", () => {
  it.concurrent("and announces its end at once if little time is left", async () => {
    const end = inSeconds(3) * 1_000;
    const headers = { Authorization: `Bearer ${await shortLived(3)}` };
    const stream = await service.stream({ channel: "ends" }, { headers });
    const warning = await stream.nextEvent({ type: "error", timeoutMs: 1_000 });
    expect(JSON.parse(warning.data)).toMatchObject({ error_type: "token_expiring", retryable: true });
    expect(warning.id).toBe(undefined);
    expect(await closeOf(stream)).toBe("token_expired");
    expect(Date.now()).toBeGreaterThanOrEqual(end - 1_000);
    expect(Date.now()).toBeLessThan(end + 2_500);
    await stream.untilClosed();
    expect(stream.complete).toBe(true);
  });

  it.concurrent("events between two tokens arrive with the next one, once and in order", async () => {
    const channel = "resumes";
    const first = await service.stream(
      { channel },
      { headers: { Authorization: `Bearer ${await shortLived(3)}` } },
    );
    await service.publish(
      [1, 2, 3].map((data) => ({ type: "a", data })),
      channel,
    );
    await first.collect(3);
    await closeOf(first);
    await first.untilClosed();
    await service.publish(
      [4, 5].map((data) => ({ type: "a", data })),
      channel,
    );
    const headers = { Authorization: `Bearer ${await shortLived(60)}`, "Last-Event-ID": first.lastEventId };
    const second = await service.stream({ channel }, { headers });
    await service.publish({ type: "a", data: 6 }, channel);
    const data = [...(await first.collect(3)), ...(await second.collect(3))].map((event) =>
      Number(event.data),
    );
    expect(data).toEqual([1, 2, 3, 4, 5, 6]);
    second.reset();
  });

  it.concurrent("a ticket does not extend its life", async () => {
    const headers = { Authorization: `Bearer ${await shortLived(3)}` };
    const answer = await service.fetch("/api/tickets", { method: "POST", headers });
    const { ticket } = (await answer.json()) as { ticket: string };
    const stream = await service.stream({ channel: "ticket", ticket });
    expect(await closeOf(stream)).toBe("token_expired");
    await stream.untilClosed();
  });

  it.concurrent("a ticket opens no stream after its token has expired", async () => {
    const headers = { Authorization: `Bearer ${await shortLived(2)}` };
    const bought = await service.fetch("/api/tickets", { method: "POST", headers });
    const { ticket } = (await bought.json()) as { ticket: string };
    await until(async () => (await service.fetch("/api/history", { headers })).status === 401, {
      what: "the end of the token",
    });
    const stream = await service.raw(`/api/events?ticket=${ticket}`, { headers: { Connection: "close" } });
    await stream.untilClosed();
    expect(stream.text).not.toContain('event: connected\nid: 0\ndata: {"client_id"');
    expect(stream.status).toBe(401);
  });

  it.concurrent("a stream whose token lasts gets no warning", async () => {
    const forever = await service.stream(
      { channel: "lasts" },
      { headers: { Authorization: "Bearer subscribe-token-of-the-tests" } },
    );
    const long = await service.stream(
      { channel: "lasts" },
      { headers: { Authorization: `Bearer ${await shortLived(3_600)}` } },
    );
    await service.publish({ type: "a", data: 1 }, "lasts");
    for (const stream of [forever, long]) {
      await stream.collect(1);
      expect(stream.events.map(({ type }) => type)).toEqual(["connected", "a"]);
      stream.reset();
    }
  });
});

const open = (channel: string, localAddress: string, headers: Record<string, string> = {}) =>
  limited.raw(`/api/events?channel=${channel}`, { localAddress, headers });

/** How a connect was refused. */
async function refusalOf(answer: RawStream): Promise<object> {
  await answer.untilClosed();
  const { status, code } = await problemOf(answer);
  answer.reset();
  return { status, code, comesBack: /^[1-9]\d*$/.test(answer.headers["retry-after"] ?? "") };
}

const limitedBy = (code: string): object => ({ status: 429, code, comesBack: true });

describe("An address cannot take more than its share", () => {
  it("of the streams of a channel, and others get theirs", async () => {
    const streams = [];
    for (let n = 0; n < 3; n++) {
      streams.push(await open("share", "127.0.0.2"));
    }
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await refusalOf(await open("share", "127.0.0.2"))).toEqual(limitedBy("address_limit"));
    const others = [await open("share", "127.0.0.3"), await open("elsewhere", "127.0.0.2")];
    expect(others.map(({ status }) => status)).toEqual([200, 200]);
    streams.pop()?.reset();
    const again = await until(
      async () => {
        const each = await open("share", "127.0.0.2");
        return each.status === 200 && each;
      },
      { what: "a place that became free", everyMs: 200, timeoutMs: 1_000 },
    );
    for (const stream of [...streams, ...others, again]) {
      stream.reset();
    }
  });

  it("by claiming another address", async () => {
    const streams = [];
    for (let n = 0; n < 3; n++) {
      streams.push(await open("forged", "127.0.0.4"));
    }
    for (const name of ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Forwarded"]) {
      const value = name === "Forwarded" ? "for=127.0.0.9" : "127.0.0.9";
      expect(await refusalOf(await open("forged", "127.0.0.4", { [name]: value }))).toEqual(
        limitedBy("address_limit"),
      );
    }
    for (const stream of streams) {
      stream.reset();
    }
  });

  it("of the connects in a minute", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 12; n++) {
      const stream = await open("often", "127.0.0.5");
      statuses.push(stream.status);
      stream.reset();
      await until(async () => (await limited.health("often")).sse.active_connections === 0, {
        what: "it to have left",
      });
    }
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(await refusalOf(await open("often", "127.0.0.5"))).toEqual(limitedBy("rate_limited"));
    const other = await open("often", "127.0.0.6");
    expect(other.status).toBe(200);
    other.reset();
  });

  it("unless it is exempt", async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, () => open("exempt", "127.0.0.9")));
    expect(streams.filter(({ status }) => status !== 200)).toEqual([]);
    for (const stream of streams) {
      stream.reset();
    }
  });
});

/** Publishes with a new token of the same subject. */
const postAnew = async () => {
  const token = await tokenOf({ edge_sse: { publish: {} }, sub: "producer", jti: crypto.randomUUID() });
  return limited.post('{"type":"a","data":1}', {
    query: "?channel=subject",
    authorization: `Bearer ${token}`,
  });
};

describe("A token cannot publish more often than its limit", () => {
  it("and another token, or the same one in another channel, still can", async () => {
    const post = (token: string, channel: string) =>
      limited.post('[{"type":"a","data":1},{"type":"a","data":2}]', {
        query: `?channel=${channel}`,
        authorization: `Bearer ${token}`,
      });
    for (let n = 0; n < 5; n++) {
      expect((await post("the-first-token", "rate")).status).toBe(200);
    }
    const refused = await post("the-first-token", "rate");
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(await problemOf(refused)).toMatchObject({ status: 429, code: "rate_limited" });
    expect((await limited.health("rate")).sse.last_event_id).toBe("10");
    expect((await post("the-second-token", "rate")).status).toBe(200);
    expect((await post("the-first-token", "rate-2")).status).toBe(200);
  });

  it("even with another token for the same subject", async () => {
    for (let n = 0; n < 5; n++) {
      expect((await postAnew()).status).toBe(200);
    }
    expect(await problemOf(await postAnew())).toMatchObject({ status: 429, code: "rate_limited" });
  });
});
