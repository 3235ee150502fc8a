import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { openBoard, type Seen } from "../support/board.ts";
import { launchBrowser } from "../support/browser.ts";
import { makeDataDir, startService, type PublishAnswer, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

/** By how much a timer, a socket or a look at the page may be late, on a machine that has other things to do. */
const SLACK_MS = 400;

let browser: Browser;
let context: BrowserContext;
let service: Service;
let folder: Awaited<ReturnType<typeof makeDataDir>>;

beforeAll(async () => {
  browser = await launchBrowser();
});

beforeEach(async () => {
  [context, folder] = await Promise.all([browser.newContext(), makeDataDir()]);
  await start();
});

afterEach(async () => {
  await context.close();
  await service.stop();
  await folder.remove();
});

afterAll(() => browser.close());

async function start(port = 0): Promise<void> {
  service = await startService({
    config: { sse: { retry_after_seconds: 2, max_connections: 6, heartbeat_interval_seconds: 1 } },
    dataDir: folder.path,
    port,
  });
}

const tick = (n: number) => ({ type: "tick", data: { n } });

const about = (type: string, project_id: number, agent_id?: number) => ({
  type,
  data: { project_id, agent_id },
});

const idsOf = ({ events }: PublishAnswer): string[] => events.map(({ id }) => id);

/** From the loss of a stream, or the failure of an attempt, to the next attempt. */
const waits = ({ retries, attempts }: Seen): { askedMs: number; tookMs: number }[] =>
  retries.flatMap(({ at, delayMs }) => {
    const next = attempts.find((attempt) => attempt.at >= at);
    return next === undefined ? [] : [{ askedMs: delayMs, tookMs: next.at - at }];
  });

const median = (values: readonly number[]): number => quantile(values, 0.5);

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? Number.NaN;
}

describe("the client in Chromium", () => {
  it("gets what its filters let through, by type and for all types", async () => {
    const board = await openBoard(
      context,
      service.url,
      `{ types: ["turn_*", "ended"], projectId: [7, "8"], agentId: 1 }`,
    );
    await board.page.evaluate(
      `globalThis.turns = []; client.on("turn_detected", (data, { id }) => turns.push([id, data]));`,
    );
    await board.untilConnected();
    await service.publish([
      about("turn_detected", 7, 1),
      about("turn_detected", 9, 1),
      about("turn_detected", 7, 2),
      about("turn_detected", 7),
      about("tick", 7, 1),
      about("ended", 8, 1),
      about("turn_started", 8, 1),
    ]);
    expect(await board.ids(3)).toEqual(["1", "6", "7"]);
    expect((await board.seen()).events.map(({ type }) => type)).toEqual([
      "turn_detected",
      "ended",
      "turn_started",
    ]);
    expect(await board.page.evaluate("turns")).toEqual([["1", { project_id: 7, agent_id: 1 }]]);
    expect(board.complaints).toEqual([]);
  });

  it("gets every event once and in order across a kill -9, after which it asks within 1.5 s", async () => {
    const board = await openBoard(context, service.url);
    await board.untilConnected();
    const before = idsOf(await service.publish(Array.from({ length: 50 }, (_, n) => tick(n))));
    await board.ids(50);
    await service.kill();
    await start(service.port);
    const after = idsOf(await service.publish(Array.from({ length: 50 }, (_, n) => tick(n))));
    await board.ids(100);
    const seen = await board.untilConnected(2);
    const live = idsOf(await service.publish(tick(100)));
    expect(await board.ids(101)).toEqual([...before, ...after, ...live]);
    expect(seen.states.map(({ state }) => state)).toEqual([
      "connecting",
      "connected",
      "reconnecting",
      "connected",
    ]);
    const [first] = waits(seen);
    expect(first?.askedMs).toBeLessThanOrEqual(1_500);
    expect(first?.tookMs).toBeLessThanOrEqual(1_500 + SLACK_MS);
    expect(new Set(seen.attempts.slice(1).map(({ lastEventId }) => lastEventId))).toEqual(new Set(["50"]));
  });

  it("waits out the Retry-After of a full channel, and up to 20 % more", async () => {
    const holders = await Promise.all(Array.from({ length: 6 }, () => service.stream()));
    const board = await openBoard(context, service.url);
    await board.until("a refusal", ({ retries }) => retries.length > 0);
    holders[0]?.reset();
    const { states, retries, attempts } = await board.untilConnected();
    const [refused, welcome] = attempts;
    const waitedMs = (welcome?.at ?? Number.NaN) - (refused?.answeredAt ?? Number.NaN);
    expect(attempts.map(({ status }) => status)).toEqual([503, 200]);
    expect(retries.map(({ code }) => code)).toEqual(["limit"]);
    expect(states.map(({ state }) => state)).toEqual(["connecting", "reconnecting", "connected"]);
    expect(waitedMs).toBeGreaterThanOrEqual(2_000);
    expect(waitedMs).toBeLessThanOrEqual(2_400 + SLACK_MS);
  });

  it("makes attempts at growing random intervals while the service is down", async () => {
    const { page } = await openBoard(context, service.url);
    await service.kill();
    await page.evaluate("globalThis.crowd = Array.from({ length: 24 }, () => open({}))");
    const crowd = await until(
      async () => {
        const all = await page.evaluate<Seen[]>("crowd.map(({ seen }) => seen)");
        return all.every(({ retries }) => retries.length >= 3) && all;
      },
      { what: "two reconnects of each client, and the wait for a third", timeoutMs: 15_000, everyMs: 50 },
    );
    for (const seen of crowd) {
      for (const [n, { askedMs, tookMs }] of waits(seen).entries()) {
        expect(askedMs).toBeGreaterThanOrEqual(100);
        expect(askedMs).toBeLessThanOrEqual(100 + 1_400 * 2 ** n);
        expect(tookMs).toBeGreaterThanOrEqual(askedMs - 2);
        expect(tookMs).toBeLessThanOrEqual(askedMs + SLACK_MS);
      }
    }
    const delays = [0, 1, 2].map((n) => crowd.map(({ retries }) => retries[n]?.delayMs ?? Number.NaN));
    console.info(
      "median delays, ms:",
      delays.map((each) => Math.round(median(each))),
    );
    // Each has 24 chances of a half to be longer than any delay before it may be.
    expect(Math.max(...(delays[1] ?? []))).toBeGreaterThan(1_500);
    expect(Math.max(...(delays[2] ?? []))).toBeGreaterThan(2_900);
    expect(new Set(delays[0]?.map((delay) => Math.round(delay))).size).toBeGreaterThan(6);
  });

  it("lets its stream go when hidden for long, and gets what it missed when shown", async () => {
    const board = await openBoard(context, service.url, "{ pauseWhenHiddenSeconds: 0.5 }");
    // Chromium without a head takes every page for visible, the ones behind others, too: so the page itself is made to say it.
    const show = (isShown: boolean): Promise<void> =>
      board.page.evaluate(`
        Object.defineProperty(document, "hidden", { configurable: true, value: ${!isShown} });
        document.dispatchEvent(new Event("visibilitychange"));
      `);
    await board.untilConnected();
    await service.publish(tick(1));
    await board.ids(1);
    await show(false);
    const paused = await board.until("a pause", ({ states }) => states.at(-1)?.state === "reconnecting");
    await until(async () => (await service.health()).sse.active_connections === 0, {
      what: "the end of the stream",
    });
    await service.publish([tick(2), tick(3)]);
    await show(true);
    await service.publish(tick(4));
    expect(await board.ids(4)).toEqual(["1", "2", "3", "4"]);
    const { attempts } = await board.seen();
    expect(paused.attempts).toHaveLength(1);
    expect(attempts.map(({ lastEventId }) => lastEventId)).toEqual([null, "1"]);
  });

  it("asks for a token before every connect", async () => {
    const sent: (string | undefined)[] = [];
    context.on("request", (request) => {
      if (request.url().includes("/api/events")) {
        sent.push(request.headers()["authorization"]);
      }
    });
    const board = await openBoard(
      context,
      service.url,
      "{ token: async (refresh) => `${globalThis.asked = (globalThis.asked ?? 0) + 1}-${refresh}` }",
    );
    await board.untilConnected();
    await service.kill();
    await start(service.port);
    const { attempts } = await board.untilConnected(2);
    expect(attempts.length).toBeGreaterThan(1);
    expect(sent).toEqual(attempts.map((_, n) => `Bearer ${n + 1}-false`));
  });

  it("stops at a channel that does not exist, and says why", async () => {
    const board = await openBoard(context, service.url, `{ channel: "nowhere" }`);
    const seen = await board.until("the end", ({ states }) => states.at(-1)?.state === "disconnected");
    expect(seen.errors).toEqual([{ code: "unknown_channel", status: 404, final: true }]);
    expect(seen.retries).toEqual([]);
  });

  it("works in a worker of the page", async () => {
    const board = await openBoard(context, service.url);
    await board.page.evaluate(`
      const source = \`
        import { SSEClient } from "\${location.origin}/sse-client.js";
        const client = new SSEClient({ url: "\${location.origin}/api/events" });
        client.on("tick", (data, { id }) => postMessage({ id, data }));
        client.on("connected", () => postMessage("connected"));
        client.connect();
      \`;
      globalThis.told = [];
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
      worker.addEventListener("message", ({ data }) => told.push(data));
    `);
    const told = (): Promise<unknown[]> => board.page.evaluate("told");
    await until(async () => (await told()).includes("connected"), { what: "a stream in the worker" });
    await service.publish(tick(1));
    await until(async () => (await told()).length > 1, { what: "an event in the worker" });
    expect(await told()).toEqual(["connected", { id: "1", data: { n: 1 } }]);
  });

  it("has an event in the DOM within 100 ms of its publish, in 95 of 100 cases", async () => {
    const count = 200;
    const everyMs = 25;
    const board = await openBoard(context, service.url);
    await board.page.evaluate(`
      const list = document.body.appendChild(document.createElement("ul"));
      globalThis.latencies = [];
      new MutationObserver((mutations) => {
        const at = performance.timeOrigin + performance.now();
        for (const { addedNodes } of mutations) {
          latencies.push(at - Number(addedNodes[0].textContent));
        }
      }).observe(list, { childList: true });
      client.on("tick", ({ n }) => list.appendChild(document.createElement("li")).append(n));
    `);
    await board.untilConnected();
    const calls: Promise<unknown>[] = [];
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        calls.push(service.publish(tick(performance.timeOrigin + performance.now())));
        if (calls.length === count) {
          clearInterval(timer);
          resolve();
        }
      }, everyMs);
    });
    await Promise.all(calls);
    await board.ids(count);
    const latencies = await board.page.evaluate<number[]>("latencies");
    const p95 = quantile(latencies, 0.95);
    console.info(
      `publish to DOM, ${count} events: P50 ${median(latencies).toFixed(1)} ms, P95 ${p95.toFixed(1)} ms`,
    );
    expect(latencies).toHaveLength(count);
    expect(p95).toBeLessThan(100);
  });
});
