import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../../support/problem.ts";
import { openRaw, type RawStream } from "../../support/raw-stream.ts";
import { someAtATime } from "../../support/some-at-a-time.ts";
import { publishToken, startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const event = '{"type":"a","data":1}';

let service: Service;
/** Bodies of which the last byte never comes, from the start on: they are looked at last. */
let slowBodies: Promise<RawStream>[];
let slowSince: number;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["default", "open-*"] } } });
  slowSince = performance.now();
  slowBodies = Array.from({ length: 20 }, (_, n) =>
    openRaw(`${service.url}/api/publish?channel=open-slow`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${publishToken}`,
        "Content-Type": "application/json",
        ...(n % 2 === 0
          ? { "Content-Length": String(event.length + 1) }
          : { "Transfer-Encoding": "chunked" }),
      },
      ...(n % 2 === 0 ? { body: event } : {}),
      timeoutMs: 20_000,
    }),
  );
  // Without this, a body that fails before a test awaits it would be an unhandled rejection.
  void Promise.allSettled(slowBodies);
});

afterAll(() => service.stop());

/** The files of the storage, and how long they are. */
function stored(): Record<string, number> {
  const storage = join(service.dataDir, "storage");
  const names = readdirSync(storage, { recursive: true, encoding: "utf8" });
  return Object.fromEntries(
    names.map((name) => [name, statSync(join(storage, name), { throwIfNoEntry: false })?.size ?? 0]),
  );
}

/** The statuses of so many requests, some at a time. */
async function statusesOf(count: number, path: (n: number) => string): Promise<Set<number>> {
  const paths = Array.from({ length: count }, (_, n) => path(n));
  const statuses = await someAtATime(50, paths, async (each) => {
    const answer = await service.fetch(each);
    await answer.body?.cancel();
    return answer.status;
  });
  return new Set(statuses);
}

async function publishes(): Promise<boolean> {
  const start = performance.now();
  await service.publish({ type: "a", data: 1 });
  return performance.now() - start < 2_000;
}

/** Connections that say so much and no more. */
async function idle(count: number, said: string): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(service.port, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (const socket of sockets) {
    socket.on("error", () => undefined).write(said);
  }
  return sockets;
}

describe("Names of channels", () => {
  it("that are not allowed create no channel, even 2,000 of them", async () => {
    await publishes();
    const before = stored();
    const ways = ["/api/events?channel=", "/api/history?channel=", "/health?channel=", "/metrics?channel="];
    const statuses = await statusesOf(2_000, (n) => `${ways[n % ways.length]}none-${n}`);
    expect(statuses).toEqual(new Set([404]));
    expect(stored()).toEqual(before);
  });

  it("that are allowed and unused do not become channels or files when they are read", async () => {
    const before = stored();
    const ways = ["/api/history?channel=", "/health?channel="];
    expect(await statusesOf(200, (n) => `${ways[n % ways.length]}open-unused-${n >> 1}`)).toEqual(
      new Set([200]),
    );
    const answer = await service.fetch("/metrics");
    expect(await answer.text()).not.toContain("open-unused");
    expect(Object.keys(stored())).toEqual(Object.keys(before));
  });
});

describe("Useless connections", () => {
  it.each([
    ["say nothing", ""],
    ["stop in the middle of a word", "GET /api/ev"],
    ["stop in the middle of a header", "GET /api/events HTTP/1.1\r\nHost: localhost\r\nX: "],
    [
      "stop in the middle of a body without a token",
      "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ],
  ])("that %s, 200 of them, do not block publishing", async (_what, said) => {
    const sockets = await idle(200, said);
    expect(await publishes()).toBe(true);
    expect((await service.health()).status).toBe("healthy");
    for (const socket of sockets) {
      socket.resetAndDestroy();
    }
  });

  it("that send a body without a token are refused before it has arrived", async () => {
    const answer = await openRaw(`${service.url}/api/publish`, {
      method: "POST",
      headers: { "Content-Length": "1000000", "Content-Type": "application/json" },
    });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
    answer.reset();
  });
});

describe("A client that comes and goes in a loop", () => {
  it("takes no slot from others, and others lose no event", async () => {
    const channel = "open-loop";
    const witness = await service.stream({ channel });
    for (let round = 0; round < 30; round++) {
      const streams = await Promise.all(
        Array.from({ length: 10 }, () => service.raw(`/api/events?channel=${channel}`)),
      );
      await service.publish({ type: "a", data: round }, channel);
      for (const stream of streams) {
        stream.reset();
      }
    }
    expect((await witness.collect(30)).map(({ data }) => Number(data))).toEqual(
      Array.from({ length: 30 }, (_, n) => n),
    );
    await until(async () => (await service.health(channel)).sse.active_connections === 1, {
      what: "the loop to be out of the registry",
    });
    witness.reset();
  });
});

describe("A body that arrives too slowly", () => {
  it("is answered with 408 after 10 s, while others publish", async () => {
    expect(await publishes()).toBe(true);
    const answers = await Promise.all(slowBodies);
    expect(performance.now() - slowSince).toBeGreaterThan(9_500);
    for (const answer of answers) {
      await answer.untilClosed();
      expect(await problemOf(answer)).toMatchObject({ status: 408, code: "body_timeout" });
      answer.reset();
    }
    expect((await service.health("open-slow")).sse.last_event_id).toBe("0");
  });
});
