import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const limit = 5;
const retryAfterSeconds = 1;

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: { max_connections: limit, retry_after_seconds: retryAfterSeconds, heartbeat_interval_seconds: 60 },
      channels: { allowed: ["*"] },
    },
  });
});

afterAll(() => service.stop());

const fill = (channel: string): Promise<RawStream[]> =>
  Promise.all(Array.from({ length: limit }, () => service.stream({ channel })));

const connections = async (channel: string): Promise<number> =>
  (await service.health(channel)).sse.active_connections;

describe("At the limit", () => {
  it("exactly N of 2N clients that connect at once get in, and health never counts more", async () => {
    const counts: number[] = [];
    const connected = new AbortController();
    const watching = (async () => {
      while (!connected.signal.aborted) {
        counts.push(await connections("stampede"));
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: 2 * limit }, () => service.raw("/api/events?channel=stampede")),
    );
    connected.abort();
    await watching;
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(limit);
    expect(answers.filter((answer) => answer.status === 503)).toHaveLength(limit);
    expect(Math.max(...counts)).toBeLessThanOrEqual(limit);
    expect(await connections("stampede")).toBe(limit);
  });

  it("the answer is 503 with Retry-After and a problem body, within the quarter of a second it may wait", async () => {
    await fill("refused");
    const asked = performance.now();
    const answer = await service.fetch("/api/events?channel=refused");
    expect(performance.now() - asked).toBeLessThan(500);
    expect(answer.headers.get("retry-after")).toBe(String(retryAfterSeconds));
    expect(await problemOf(answer)).toMatchObject({ status: 503, code: "limit" });
  });

  it("those who are in notice nothing of those who are refused", async () => {
    const streams = await fill("undisturbed");
    const refused = await Promise.all(
      Array.from({ length: 10 }, () => service.fetch("/api/events?channel=undisturbed")),
    );
    expect(refused.map((answer) => answer.status)).toEqual(Array(10).fill(503));
    await service.publish({ type: "a", data: 1 }, "undisturbed");
    const events = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "a" })));
    expect(events.map((event) => event.id)).toEqual(Array(limit).fill("1"));
  });

  it("on_busy=stream is answered with 200, a jittered retry, close and the end", async () => {
    await fill("on-busy");
    const delays = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const stream = await service.raw("/api/events?channel=on-busy&on_busy=stream");
        expect(stream.status).toBe(200);
        expect(stream.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
        await stream.untilClosed();
        expect(stream.complete).toBe(true);
        expect(stream.events.map((event) => event.type)).toEqual(["close"]);
        const close = JSON.parse(stream.events[0]?.data ?? "") as { reason: string; retry_after_ms: number };
        expect(Object.keys(close)).toEqual(["reason", "retry_after_ms"]);
        expect(close.reason).toBe("limit");
        expect(stream.events[0]?.id).toBeUndefined();
        expect(stream.text).toMatch(new RegExp(`^retry: ${close.retry_after_ms}$`, "m"));
        return close.retry_after_ms;
      }),
    );
    const back = await service.raw("/api/events?channel=on-busy&on_busy=stream", {
      headers: { "Last-Event-ID": "0" },
    });
    await back.untilClosed();
    expect(back.events.map(({ type, id }) => [type, id])).toEqual([["close", "0"]]);
    for (const delay of delays) {
      expect(delay).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000);
      expect(delay).toBeLessThanOrEqual(retryAfterSeconds * 2_000);
    }
    expect(new Set(delays).size).toBeGreaterThan(1);
    expect(await connections("on-busy")).toBe(limit);
  });

  it("a native EventSource with on_busy=stream comes back by itself when a place is free", async () => {
    const [first] = await fill("comes-back");
    const client = openNative(`${service.url}/api/events?channel=comes-back&on_busy=stream`, [
      "close",
      "connected",
    ]);
    try {
      await client.collect(1);
      expect(client.events[0]?.type).toBe("close");
      first?.reset();
      await until(() => client.events.some((event) => event.type === "connected"), { what: "connected" });
      expect(await connections("comes-back")).toBe(limit);
    } finally {
      client.close();
    }
  });

  it("HEAD takes no place", async () => {
    const heads = await Promise.all(
      Array.from({ length: limit * 2 }, () => service.raw("/api/events?channel=heads", { method: "HEAD" })),
    );
    expect(heads.map((answer) => answer.status)).toEqual(Array(limit * 2).fill(200));
    expect(await connections("heads")).toBe(0);
    expect(await fill("heads")).toHaveLength(limit);
  });

  it("belongs to its channel", async () => {
    await fill("full");
    const stream = await service.stream({ channel: "not-full" });
    expect(stream.status).toBe(200);
  });

  it("clients in replay count", async () => {
    await service.publish({ type: "a", data: 1 }, "replaying");
    await Promise.all(
      Array.from({ length: limit }, () => service.stream({ channel: "replaying", since: "earliest" })),
    );
    const answer = await service.fetch("/api/events?channel=replaying");
    expect(answer.status).toBe(503);
  });

  it("clients that never read count", async () => {
    const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
    for (let n = 0; n < 15; n++) {
      await service.publish(batch, "stalled");
    }
    for (let n = 0; n < limit; n++) {
      const stream = await service.stream({ channel: "stalled", since: "earliest" });
      stream.pause();
    }
    await until(
      async () => {
        const answer = await service.admin("/api/admin/clients?channel=stalled");
        const { clients } = (await answer.json()) as { clients: { pending_ms: number }[] };
        return clients.length === limit && clients.every((client) => client.pending_ms > 100);
      },
      { what: "all clients to be stalled" },
    );
    const answer = await service.fetch("/api/events?channel=stalled");
    expect(await problemOf(answer)).toMatchObject({ status: 503, code: "limit" });
    expect(await connections("stalled")).toBe(limit);
  });

  it.each([
    ["closed (FIN)", (stream: RawStream) => stream.end()],
    ["reset (RST)", (stream: RawStream) => stream.reset()],
  ])("a client whose connection was %s holds no place against the next one", async (how, leave) => {
    const channel = `dead-${how.slice(0, 5)}`;
    const [first, ...others] = await fill(channel);
    await sleep(1_050);
    if (first !== undefined) {
      leave(first);
    }
    const asked = performance.now();
    const next = await until(
      async () => {
        const stream = await service.raw(`/api/events?channel=${channel}`);
        if (stream.status === 200) {
          return stream;
        }
        stream.reset();
        return undefined;
      },
      { what: "a free place", timeoutMs: 3_000 },
    );
    expect(performance.now() - asked).toBeLessThan(1_000);
    expect((await next.nextEvent()).type).toBe("connected");
    expect(others.every((stream) => !stream.closed)).toBe(true);
    expect(await connections(channel)).toBe(limit);
  });

  it("is warned of in the log once a second with a count, not once a refusal", async () => {
    await fill("log");
    const before = service.logs.filter((line) => line.event === "limit_reached").length;
    const started = performance.now();
    for (let n = 0; n < 4; n++) {
      await Promise.all(Array.from({ length: 10 }, () => service.fetch("/api/events?channel=log")));
    }
    const seconds = (performance.now() - started) / 1_000;
    const ofChannel = (): typeof service.logs =>
      service.logs.filter((line) => line.event === "limit_reached" && line["channel"] === "log");
    await until(() => ofChannel().reduce((sum, line) => sum + Number(line["count"]), 0) === 40, {
      what: () => `40 refusals in the log: ${JSON.stringify(ofChannel())}`,
    });
    expect(ofChannel().every((line) => line.level === "warn")).toBe(true);
    const after = service.logs.filter((line) => line.event === "limit_reached").length;
    expect(after - before).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  });
});
