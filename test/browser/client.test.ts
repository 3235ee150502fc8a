import { describe, expect, it } from "vitest";

import { openBoard, type Seen } from "../support/board.ts";
import { freezeClock } from "../support/browser.ts";
import { useBrowserService } from "../support/browser-service.ts";
import type { PublishAnswer } from "../support/service.ts";
import { until } from "../support/until.ts";

const world = useBrowserService({
  sse: { retry_after_seconds: 2, max_connections: 6, heartbeat_interval_seconds: 1 },
});

const tick = (n: number) => ({ type: "tick", data: { n } });

const about = (type: string, project_id: number, agent_id?: number) => ({
  type,
  data: { project_id, agent_id },
});

const idsOf = ({ events }: PublishAnswer): string[] => events.map(({ id }) => id);

/** The delays from a lost stream, or from a failed attempt, to the next attempt. */
const waits = ({ retries, attempts }: Seen): { askedMs: number; tookMs: number }[] =>
  attempts.slice(1).map((attempt, n) => ({
    askedMs: retries[n]?.delayMs ?? Number.NaN,
    tookMs: attempt.at - (retries[n]?.at ?? Number.NaN),
  }));

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

describe("the client in Chromium", () => {
  it("gets the events that pass its filters, by type and for all types", async () => {
    const board = await openBoard(
      world.context,
      world.service.url,
      `{ types: ["turn_*", "ended"], projectId: [7, "8"], agentId: 1 }`,
    );
    await board.page.evaluate(
      `globalThis.turns = []; client.on("turn_detected", (data, { id }) => turns.push([id, data]));`,
    );
    await board.untilConnected();
    await world.service.publish([
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

  it("gets every event once and in order across a kill -9, and reconnects within 1.5 s", async () => {
    const clock = await freezeClock(world.context);
    const board = await openBoard(world.context, world.service.url);
    await board.untilConnected();
    const before = idsOf(await world.service.publish(Array.from({ length: 50 }, (_, n) => tick(n))));
    await board.ids(50);
    await world.service.kill();
    await board.until("a loss", ({ retries }) => retries.length > 0);
    await world.restart();
    await clock.runFor(1_500);
    const after = idsOf(await world.service.publish(Array.from({ length: 50 }, (_, n) => tick(n))));
    await board.ids(100);
    const seen = await board.untilConnected(2);
    const live = idsOf(await world.service.publish(tick(100)));
    expect(await board.ids(101)).toEqual([...before, ...after, ...live]);
    expect(seen.states.map(({ state }) => state)).toEqual([
      "connecting",
      "connected",
      "reconnecting",
      "connected",
    ]);
    const [first] = waits(seen);
    expect(first?.askedMs).toBeLessThanOrEqual(1_500);
    expect(first?.tookMs).toBeLessThanOrEqual(1_500);
    expect(new Set(seen.attempts.slice(1).map(({ lastEventId }) => lastEventId))).toEqual(new Set(["50"]));
  });

  it("gets thousands of events that arrive together, each once and in order", async () => {
    const board = await openBoard(world.context, world.service.url);
    await board.untilConnected();
    const text = "žluťoučký 🐎 ".repeat(20);
    for (let n = 0; n < 5; n++) {
      await world.service.publish(Array.from({ length: 1_000 }, () => ({ type: "tick", data: text })));
    }
    expect(await board.ids(5_000)).toEqual(Array.from({ length: 5_000 }, (_, n) => String(n + 1)));
    expect(new Set((await board.seen()).events.map(({ data }) => data))).toEqual(new Set([text]));
  });

  it("waits for the Retry-After of a full channel, and up to 20 % more", async () => {
    const holders = await Promise.all(Array.from({ length: 6 }, () => world.service.stream()));
    const clock = await freezeClock(world.context);
    const board = await openBoard(world.context, world.service.url);
    await board.until("a refusal", ({ retries }) => retries.length > 0);
    holders[0]?.reset();
    await clock.runFor(2_400);
    const { states, retries, attempts } = await board.untilConnected();
    const [refused, welcome] = attempts;
    const waitedMs = (welcome?.at ?? Number.NaN) - (refused?.answeredAt ?? Number.NaN);
    expect(attempts.map(({ status }) => status)).toEqual([503, 200]);
    expect(retries.map(({ code }) => code)).toEqual(["limit"]);
    expect(states.map(({ state }) => state)).toEqual(["connecting", "reconnecting", "connected"]);
    expect(waitedMs).toBeGreaterThanOrEqual(2_000);
    expect(waitedMs).toBeLessThanOrEqual(2_400);
    expect(retries[0]?.delayMs).toBeLessThanOrEqual(2_400);
  });

  it("makes attempts at growing random intervals while the service is down", async () => {
    const clock = await freezeClock(world.context);
    const { page } = await openBoard(world.context, world.service.url);
    await world.service.kill();
    await page.evaluate("globalThis.crowd = Array.from({ length: 24 }, () => open({}))");
    const crowd = await until(
      async () => {
        await clock.runFor(100);
        const all = await page.evaluate<Seen[]>("crowd.map(({ seen }) => seen)");
        return all.every(({ retries }) => retries.length >= 3) && all;
      },
      { what: "two reconnects of each client, and the wait for a third", timeoutMs: 40_000 },
    );
    for (const seen of crowd) {
      for (const [n, { askedMs, tookMs }] of waits(seen).entries()) {
        expect(askedMs).toBeGreaterThanOrEqual(100);
        expect(askedMs).toBeLessThanOrEqual(100 + 1_400 * 2 ** n);
        expect(tookMs).toBeGreaterThanOrEqual(askedMs - 2);
        expect(tookMs).toBeLessThanOrEqual(askedMs + 2);
      }
    }
    const delays = [0, 1, 2].map((n) => crowd.map(({ retries }) => retries[n]?.delayMs ?? Number.NaN));
    console.info(
      "median delays, ms:",
      delays.map((each) => Math.round(median(each))),
    );
    // Each client has 24 chances of one half to exceed the longest delay without backoff.
    expect(Math.max(...(delays[1] ?? []))).toBeGreaterThan(1_500);
    expect(Math.max(...(delays[2] ?? []))).toBeGreaterThan(2_900);
    expect(new Set(delays[0]?.map((delay) => Math.round(delay))).size).toBeGreaterThan(6);
  });

  it("fetches a token before every connect", async () => {
    const sent: (string | undefined)[] = [];
    world.context.on("request", (request) => {
      if (request.url().includes("/api/events")) {
        sent.push(request.headers()["authorization"]);
      }
    });
    const board = await openBoard(
      world.context,
      world.service.url,
      "{ token: async (refresh) => `${globalThis.asked = (globalThis.asked ?? 0) + 1}-${refresh}` }",
    );
    await board.untilConnected();
    await world.service.kill();
    await world.restart();
    const { attempts } = await board.untilConnected(2);
    expect(attempts.length).toBeGreaterThan(1);
    expect(sent).toEqual(attempts.map((_, n) => `Bearer ${n + 1}-false`));
  });

  it("stops at a channel that does not exist, and reports why", async () => {
    const board = await openBoard(world.context, world.service.url, `{ channel: "nowhere" }`);
    const seen = await board.until("the end", ({ states }) => states.at(-1)?.state === "disconnected");
    expect(seen.errors).toEqual([{ code: "unknown_channel", status: 404, final: true }]);
    expect(seen.retries).toEqual([]);
  });
});
