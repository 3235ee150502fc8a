import { setImmediate as everythingElse } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import type { HistoryRequest } from "../../../src/hub/log/ledger.ts";
import { createFilter } from "../../../src/hub/filter.ts";
import { Feed } from "../../../src/relay/feed.ts";
import { HttpUpstream, type HttpSource } from "../../../src/relay/http-upstream.ts";
import { Tail } from "../../../src/relay/tail.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { decodeStream } from "../../support/hub/frames.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { finished, MemoryService } from "../../support/service/memory-service.ts";

const SOURCE: HttpSource = { url: "https://hub.example.com", channel: "news", token: "secret" };
const START = { cursor: null, logName: null, since: Date.UTC(2026, 0, 29, 10), parent: null };
const QUESTION: HistoryRequest = {
  terms: {},
  start: { lastEventId: "7", logName: "log-a", since: null },
  limit: 50,
  address: null,
};
const STREAM = { "Content-Type": "text/event-stream; charset=utf-8" };
const JSON_TYPE = { "Content-Type": "application/json" };
const EVENT = { id: "8", type: "tick", data: { n: 1 }, published_at: "2026-01-29T10:00:00.000Z" };
const ANSWER = { events: [EVENT], next: "8", more: false, oldest_id: "1", latest_id: "8" };

interface Asked {
  readonly url: URL;
  readonly headers: Headers;
  readonly init: RequestInit;
}

/** An upstream whose server gives this answer. */
function upstreamOf(
  answer: (signal: AbortSignal | null | undefined) => Response | Promise<Response>,
  source: Partial<HttpSource> = {},
): { upstream: HttpUpstream; asked: Asked[]; clock: FakeClock } {
  const asked: Asked[] = [];
  const clock = new FakeClock();
  const fetcher = async (url: unknown, init: RequestInit = {}): Promise<Response> => {
    asked.push({ url: new URL(String(url)), headers: new Headers(init.headers), init });
    return answer(init.signal);
  };
  return {
    upstream: new HttpUpstream({ ...SOURCE, ...source }, fetcher as typeof fetch, clock),
    asked,
    clock,
  };
}

function json(body: unknown, status = 200, headers: Record<string, string> = JSON_TYPE): Response {
  return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = { type: "urn", title: "t", status, detail: `About ${code}.`, code };
  return json(body, status, { "Content-Type": "application/problem+json", ...headers });
}

describe("the requests of a relay to a hub that is reached by HTTP", () => {
  it("open a stream of envelopes with the token, from a time or after an id of a log", async () => {
    const { upstream, asked } = upstreamOf(() => new Response("", { headers: STREAM }));
    const { signal } = new AbortController();
    await upstream.open(START, signal);
    await upstream.open({ ...START, cursor: 41, logName: "log-a" }, signal);
    expect(asked.map(({ url }) => [url.pathname, Object.fromEntries(url.searchParams)])).toEqual([
      ["/api/events", { envelope: "1", channel: "news", since: "2026-01-29T10:00:00.000Z" }],
      ["/api/events", { envelope: "1", channel: "news", log: "log-a" }],
    ]);
    expect(asked.map(({ headers }) => headers.get("Last-Event-ID"))).toEqual([null, "41"]);
    expect(asked.map(({ headers }) => headers.get("Authorization"))).toEqual([
      "Bearer secret",
      "Bearer secret",
    ]);
    expect(asked.map(({ init }) => init.redirect)).toEqual(["manual", "manual"]);
  });

  it("read the history with the filter and the start of a client", async () => {
    const { upstream, asked } = upstreamOf(() => json(ANSWER), {
      url: "https://hub.example.com/sse/",
      token: null,
    });
    await upstream.history({
      ...QUESTION,
      terms: { types: ["a*", "b"], fields: { project_id: ["é", "7"], agent_id: ["1"] } },
    });
    const since = Date.UTC(2026, 0, 29, 9, 0, 0, 5);
    for (const each of [since, "earliest", "oldest"] as const) {
      await upstream.history({ ...QUESTION, start: { lastEventId: null, logName: "log-a", since: each } });
    }
    expect(asked[0]?.headers.has("Authorization")).toBe(false);
    expect(asked.map(({ url }) => [url.pathname, Object.fromEntries(url.searchParams)])).toEqual([
      [
        "/sse/api/history",
        {
          channel: "news",
          types: "a*,b",
          project_id: "é,7",
          agent_id: "1",
          limit: "50",
          after: "7",
          log: "log-a",
        },
      ],
      ["/sse/api/history", { channel: "news", limit: "50", since: "2026-01-29T09:00:00.005Z" }],
      ["/sse/api/history", { channel: "news", limit: "50", since: "earliest" }],
      ["/sse/api/history", { channel: "news", limit: "50" }],
    ]);
  });

  it("end with the feed that made them", async () => {
    const seen: AbortSignal[] = [];
    const { upstream } = upstreamOf((signal) => {
      seen.push(signal as AbortSignal);
      return new Response("", { headers: STREAM });
    });
    const abort = new AbortController();
    await upstream.open(START, abort.signal);
    expect(seen[0]?.aborted).toBe(false);
    abort.abort();
    expect(seen[0]?.aborted).toBe(true);
  });
});

describe("the history of a hub that is reached by HTTP", () => {
  it("is read as the hub told it", async () => {
    const { upstream } = upstreamOf(() =>
      json({ ...ANSWER, events: [{ ...EVENT, project_id: "7", agent_id: "a" }], next: "9", latest_id: "9" }),
    );
    expect(await upstream.history(QUESTION)).toEqual({
      events: [
        {
          seq: 8,
          type: "tick",
          data: '{"n":1}',
          isText: false,
          fields: { project_id: "7", agent_id: "a" },
          publishedAt: Date.UTC(2026, 0, 29, 10),
        },
      ],
      next: 9,
      more: false,
      oldest: 1,
      latest: 9,
      gap: null,
    });
  });

  it("may have a gap, also if nothing is kept", async () => {
    const gap = { requested_id: "7", oldest_id: null, latest_id: "20", reason: "expired" };
    const { upstream } = upstreamOf(() =>
      json({ events: [], next: "20", more: false, oldest_id: null, latest_id: "20", gap }),
    );
    expect(await upstream.history(QUESTION)).toMatchObject({
      oldest: null,
      gap: { reason: "expired", requestedId: "7", oldest: 21, latest: 20 },
    });
  });

  const gap = { requested_id: "7", oldest_id: "1", latest_id: "8", reason: "expired" };

  it.each<[string, unknown]>([
    ["no JSON", "{"],
    ["null", null],
    ["a list", []],
    ["no events", { ...ANSWER, events: undefined }],
    ["events that are no list", { ...ANSWER, events: { length: 1 } }],
    ["an event that is no envelope", { ...ANSWER, events: [1] }],
    ["an event whose type has a line break", { ...ANSWER, events: [{ ...EVENT, type: "a\nid: 9" }] }],
    ["an id that is a number", { ...ANSWER, next: 8 }],
    ["a negative id", { ...ANSWER, latest_id: "-8" }],
    ["no next", { ...ANSWER, next: undefined }],
    ["no word on what follows", { ...ANSWER, more: "no" }],
    ["an oldest id after the latest", { ...ANSWER, oldest_id: "9" }],
    ["a gap of another reason", { ...ANSWER, gap: { ...gap, reason: "bored" } }],
    ["a gap without ids", { ...ANSWER, gap: { reason: "expired" } }],
    ["a gap that is no object", { ...ANSWER, gap: "expired" }],
    ["a gap that begins after the latest event", { ...ANSWER, gap: { ...gap, oldest_id: "10" } }],
  ])("is not believed with %s", async (_, body) => {
    const { upstream } = upstreamOf(() => json(body));
    await expect(upstream.history(QUESTION)).rejects.toMatchObject({ name: "BrokenUpstreamError" });
  });

  it("is not believed if it is not UTF-8", async () => {
    const { upstream } = upstreamOf(
      () => new Response(Uint8Array.of(0x22, 0xff, 0x22), { headers: JSON_TYPE }),
    );
    await expect(upstream.history(QUESTION)).rejects.toMatchObject({ name: "BrokenUpstreamError" });
  });

  it("is not read beyond its longest size, however much comes", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 64 * 1024;
        controller.enqueue(new Uint8Array(64 * 1024).fill(0x20));
      },
    });
    const { upstream } = upstreamOf(() => new Response(endless, { headers: JSON_TYPE }));
    await expect(upstream.history(QUESTION)).rejects.toThrow("more than");
    expect(sent).toBeLessThan(1.5 * 1024 * 1024);
  });
});

/** A server that never answers. */
function never(signal: AbortSignal | null | undefined): Promise<Response> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

describe("a hub that is reached by HTTP and does not answer", () => {
  it("within 10 s is not waited for", async () => {
    const { upstream, clock } = upstreamOf(never);
    const stream = outcomeOf(upstream.open(START, new AbortController().signal));
    const history = outcomeOf(upstream.history(QUESTION));
    await clock.advance(9_999);
    expect([stream.state, history.state]).toEqual(["waiting", "waiting"]);
    await clock.advance(1);
    expect([stream.state, history.state]).toEqual(["no stream began in time", "hub_unreachable"]);
    expect(clock.timers).toBe(0);
  });

  it("in full within 10 s is not waited for", async () => {
    let isCancelled = false;
    const slow = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
      cancel: () => {
        isCancelled = true;
      },
    });
    const { upstream, clock } = upstreamOf(() => new Response(slow, { headers: JSON_TYPE }));
    const history = outcomeOf(upstream.history(QUESTION));
    await clock.advance(10_000);
    expect([history.state, isCancelled]).toEqual(["hub_unreachable", true]);
  });

  it("does not cut a stream that has begun, however long it lasts", async () => {
    const seen: AbortSignal[] = [];
    const { upstream, clock } = upstreamOf((signal) => {
      seen.push(signal as AbortSignal);
      return new Response("", { headers: STREAM });
    });
    await upstream.open(START, new AbortController().signal);
    await clock.advance(3_600_000);
    expect(seen[0]?.aborted).toBe(false);
  });

  it("because it cannot be reached is an unreachable hub", async () => {
    const { upstream } = upstreamOf(() => Promise.reject(new TypeError("fetch failed")));
    await expect(upstream.history(QUESTION)).rejects.toMatchObject({ code: "hub_unreachable" });
    await expect(upstream.open(START, new AbortController().signal)).rejects.toThrow("fetch failed");
  });
});

describe("a hub that is reached by HTTP and refuses", () => {
  it.each([
    ["draining", 503],
    ["shutting_down", 503],
    ["limit", 503],
    ["rate_limited", 429],
    ["busy", 503],
  ])("with %s is understood", async (code, status) => {
    const { upstream } = upstreamOf(() => problem(status, code, { "Retry-After": "7" }));
    const refusal = { code, message: `About ${code}.`, retryAfterSeconds: 7 };
    await expect(upstream.open(START, new AbortController().signal)).rejects.toMatchObject(refusal);
    await expect(upstream.history(QUESTION)).rejects.toMatchObject(refusal);
  });

  it.each<[string, () => Response]>([
    ["301", () => new Response(null, { status: 301, headers: { Location: "https://evil.example.com" } })],
    ["307", () => new Response(null, { status: 307, headers: { Location: "/elsewhere" } })],
    ["opaqueredirect", () => Object.defineProperty(Response.error(), "type", { value: "opaqueredirect" })],
    ["401", () => problem(401, "unauthorized")],
    ["403", () => problem(403, "forbidden")],
    ["404", () => problem(404, "unknown_channel")],
    ["204", () => new Response(null, { status: 204 })],
    ["200", () => new Response("<html>", { headers: { "Content-Type": "text/html" } })],
    ["200", () => new Response(null, { headers: STREAM })],
    ["200", () => new Response(null, { headers: { "Content-Type": "text/event-stream-2" } })],
  ])(
    "with %s in a way that only a change of the configuration repairs is asked again after a long time",
    async (status, answer) => {
      const { upstream, asked } = upstreamOf(answer);
      const refusal = {
        code: "hub_unreachable",
        message: expect.stringContaining(`answered ${status}.`),
        retryAfterSeconds: 60,
      };
      await expect(upstream.open(START, new AbortController().signal)).rejects.toMatchObject(refusal);
      await expect(upstream.history(QUESTION)).rejects.toMatchObject(refusal);
      expect(asked).toHaveLength(2);
    },
  );

  it("with a passing error is asked again when it says so, or soon", async () => {
    for (const [headers, retryAfterSeconds] of [
      [{}, undefined],
      [{ "Retry-After": "30" }, 30],
      [{ "Retry-After": "-5" }, undefined],
      [{ "Retry-After": "soon" }, undefined],
      [{ "Retry-After": "Thu, 29 Jan 2026 10:00:09 GMT" }, 9],
    ] as const) {
      const { upstream } = upstreamOf(() => new Response("Bad gateway", { status: 502, headers }));
      const refused = outcomeOf(upstream.history(QUESTION));
      await expect(upstream.history(QUESTION)).rejects.toMatchObject({
        code: "hub_unreachable",
        retryAfterSeconds,
      });
      expect(refused.state).toBe("hub_unreachable");
    }
  });

  it("with a body of any size or form is not believed", async () => {
    const bodies = [
      "x".repeat(1024 * 1024),
      "null",
      "{",
      '{"code":"draining"}',
      '{"code":["limit"],"detail":"d"}',
    ];
    for (const body of bodies) {
      const { upstream } = upstreamOf(() => json(body, 503, { "Content-Type": "application/problem+json" }));
      await expect(upstream.history(QUESTION)).rejects.toMatchObject({ code: "hub_unreachable" });
    }
  });
});

describe("a relay of a service that is reached by HTTP", () => {
  it("has its events, the older ones too", async () => {
    const service = new MemoryService({
      config: { auth: { subscribe: "token" }, channels: { allowed: ["*"] } },
      secrets: { PUBLISH_TOKEN: "publish", SUBSCRIBE_TOKEN: "secret" },
    });
    const { clock } = service.host;
    const fetcher = (url: unknown, init: RequestInit = {}): Promise<Response> => {
      const { pathname, search } = new URL(String(url));
      return service.send(pathname + search, { headers: Object.fromEntries(new Headers(init.headers)) });
    };
    const upstream = new HttpUpstream(SOURCE, fetcher as typeof fetch, clock);
    await service.publish("news", "a", "b", "a");
    await clock.advance(60_000);
    await service.publish("news", "b");
    const settings = {
      tail: { maxEvents: 100, maxBytes: 100_000 },
      retention: { maxEvents: 100, maxAgeMs: 86_400_000, maxBytes: 1024 ** 2 },
    };
    const tail = new Tail(upstream, settings, clock);
    const observer = { attached: () => {}, lost: () => {}, ended: () => {} };
    const feed = new Feed(upstream, tail, observer, {
      clock,
      logger: () => {},
      heartbeatIntervalMs: 30_000,
      random: () => 0.5,
    });
    await finished(service, feed.attach());
    expect([tail.head(), tail.isInMemory(3), tail.isInMemory(2)]).toEqual([4, true, false]);
    await service.publish("news", "a");
    for (let turn = 0; turn < 10; turn++) {
      await everythingElse();
    }
    expect(tail.head()).toBe(5);
    const page = await finished(
      service,
      Promise.resolve(tail.page(0, createFilter({ types: ["a"] }), 10_000)),
    );
    expect(decodeStream(page.bytes === null ? [] : [page.bytes]).events.map(({ id }) => id)).toEqual([
      "1",
      "3",
      "5",
    ]);
    const start = { lastEventId: "1", logName: tail.name, since: null };
    expect(await finished(service, tail.start(start))).toMatchObject({ cursor: 1, gap: null });
    expect(await finished(service, tail.start({ ...start, logName: "another" }))).toMatchObject({
      cursor: 0,
      gap: { reason: "unknown" },
    });
    feed.close();
  });
});
