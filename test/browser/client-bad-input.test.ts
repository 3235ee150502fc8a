import type { ServerResponse } from "node:http";

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { encodeFrame } from "../../src/sse/encode.ts";
import { openBoard, type Board } from "../support/board.ts";
import { freezeClock, launchBrowser } from "../support/browser.ts";
import {
  beginStream,
  refuse,
  startUnruly,
  type Answer,
  type UnrulyService,
} from "../support/unruly-service.ts";
import { until } from "../support/until.ts";

let browser: Browser;
const services: UnrulyService[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await Promise.all(services.map((service) => service.stop()));
});

async function openIn(
  context: BrowserContext,
  options: string,
  ...answers: readonly Answer[]
): Promise<{ board: Board; service: UnrulyService }> {
  const service = await startUnruly(...answers);
  services.push(service);
  return { board: await openBoard(context, service.url, options), service };
}

async function open(
  options: string,
  ...answers: readonly Answer[]
): Promise<{ board: Board; service: UnrulyService }> {
  return openIn(await browser.newContext(), options, ...answers);
}

const tick = (id: number, data: string): string => encodeFrame({ event: "tick", id, data });

const half = 'event: tick\nid: 2\ndata: {"n":2}\n';

/** A valid stream with a few events. */
const stream =
  (...frames: readonly string[]): Answer =>
  (response) => {
    beginStream(response);
    response.write(frames.join(""));
  };

// These tests mostly wait, each with its own service and context.
describe.concurrent("the client in Chromium, when", () => {
  it("a listener throws, calls the others, and the browser logs the error", async () => {
    const responses: ServerResponse[] = [];
    const { board } = await open("{}", (response) => {
      beginStream(response);
      responses.push(response);
    });
    await board.untilConnected();
    await board.page.evaluate(`
      globalThis.calls = [];
      client.on("tick", () => calls.push("before"));
      client.on("tick", () => { throw new Error("of a listener"); });
      client.on("tick", () => calls.push("after"));
    `);
    responses[0]?.write(tick(1, "1") + tick(2, "2"));
    expect(await board.ids(2)).toEqual(["1", "2"]);
    expect(await board.page.evaluate("calls")).toEqual(["before", "after", "before", "after"]);
    expect(board.complaints).toEqual(Array.from({ length: 2 }, () => "Error: of a listener"));
    expect((await board.seen()).states.at(-1)?.state).toBe("connected");
  });

  it("data is not JSON, passes the text on", async () => {
    const { board } = await open("{}", stream(tick(1, '{"n":'), tick(2, '{"n":2}')));
    await board.ids(2);
    expect((await board.seen()).events.map(({ data }) => data)).toEqual(['{"n":', { n: 2 }]);
    expect(board.complaints).toEqual([]);
  });

  it.for<[string, (response: ServerResponse | undefined) => void]>([
    ["cut", (response) => response?.socket?.destroy()],
    ["ended", (response) => response?.end()],
  ])(
    "a stream is %s in the middle of an event, delivers no part of it, and the whole event later",
    async ([, end]) => {
      const responses: ServerResponse[] = [];
      const { board, service } = await open(
        "{}",
        (response, request) => {
          responses.push(response);
          stream(tick(1, '{"n":1}'), half)(response, request);
        },
        stream(tick(2, '{"n":2,"whole":true}')),
      );
      // When a connection is cut, a browser drops the bytes that have arrived but were not read.
      await board.ids(1);
      end(responses[0]);
      expect(await board.ids(2)).toEqual(["1", "2"]);
      const { events } = await board.untilConnected(2);
      expect(events.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2, whole: true }]);
      expect(service.requests.map((headers) => headers["last-event-id"])).toEqual([undefined, "1"]);
    },
  );

  it("a proxy redirects to an HTML page, tries again at growing intervals", async () => {
    const { board, service } = await open(
      "{}",
      (response) => void response.writeHead(302, { Location: "/login" }).end(),
    );
    await board.until("three attempts", ({ retries }) => retries.length >= 3);
    await board.page.evaluate("client.disconnect()");
    const seen = await board.seen();
    expect(new Set(seen.retries.map(({ code }) => code))).toEqual(new Set(["content_type"]));
    for (const [n, { at, delayMs }] of seen.retries.entries()) {
      expect(delayMs).toBeGreaterThanOrEqual(100);
      expect(delayMs).toBeLessThanOrEqual(100 + 1_400 * 2 ** n);
      expect((seen.attempts[n + 1]?.at ?? Infinity) - at).toBeGreaterThanOrEqual(delayMs - 2);
    }
    expect(service.requests.length).toBeLessThanOrEqual(seen.attempts.length);
    expect(seen.errors).toEqual([]);
  });

  it("a service sends an endless line, gives up after 1 MiB, and tries again", async () => {
    const { board, service } = await open(
      "{}",
      (response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write("x".repeat(1024 * 1024 + 1));
      },
      stream(),
    );
    const { retries } = await board.untilConnected();
    expect(retries.map(({ code }) => code)).toEqual(["frame_too_large"]);
    expect(service.requests).toHaveLength(2);
  });

  it("a service accepts and never answers, gives up after 15 s, and tries again", async () => {
    const context = await browser.newContext();
    const clock = await freezeClock(context);
    const { board } = await openIn(context, "{}", () => {}, stream());
    await board.until("an attempt", ({ attempts }) => attempts.length === 1);
    await clock.runFor(14_900);
    expect((await board.seen()).retries).toEqual([]);
    await clock.runFor(100);
    await board.until("the end of the attempt", ({ retries }) => retries.length === 1);
    await clock.runFor(1_500);
    const { retries } = await board.untilConnected();
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
  });

  it("a stream falls silent, reconnects after 2.5 to 3 heartbeat intervals, and not before", async () => {
    const context = await browser.newContext();
    const clock = await freezeClock(context);
    const responses: ServerResponse[] = [];
    const { board, service } = await openIn(
      context,
      "{}",
      (response) => {
        responses.push(response);
        beginStream(response, 1);
      },
      stream(),
    );
    await board.untilConnected();
    for (const id of [4, 5, 6, 7]) {
      await clock.runFor(1_000);
      responses[0]?.write(encodeFrame({ comment: "heartbeat", id }));
      await until(async () => (await board.page.evaluate("client.lastEventId")) === String(id), {
        what: "the heartbeat",
        timeoutMs: 20_000,
      });
    }
    await clock.runFor(2_499);
    expect((await board.seen()).retries).toEqual([]);
    await clock.runFor(501);
    await board.until("the end of the stream", ({ retries }) => retries.length === 1);
    await clock.runFor(1_500);
    const { retries } = await board.untilConnected(2);
    expect(retries.map(({ code }) => code)).toEqual(["heartbeat_missed"]);
    expect(service.requests.map((headers) => headers["last-event-id"])).toEqual([undefined, "7"]);
  });

  const token = "{ token: async (refresh) => refresh ? 'fresh' : 'cached' }";

  it("a token is refused, fetches another one, and goes on with it", async () => {
    const { board, service } = await open(
      token,
      (response) => refuse(response, 401, "unauthorized"),
      stream(tick(1, "1")),
    );
    expect(await board.ids(1)).toEqual(["1"]);
    expect(service.requests.map(({ authorization }) => authorization)).toEqual([
      "Bearer cached",
      "Bearer fresh",
    ]);
    expect((await board.seen()).errors).toEqual([]);
  });

  it("the second token is refused too, stops and reports why", async () => {
    const { board, service } = await open(token, (response) => refuse(response, 401, "unauthorized"));
    const { errors } = await board.until("the end", ({ states }) => states.at(-1)?.state === "disconnected");
    expect(errors).toEqual([{ code: "unauthorized", status: 401, final: true }]);
    expect(service.requests.map(({ authorization }) => authorization)).toEqual([
      "Bearer cached",
      "Bearer fresh",
    ]);
  });
});
