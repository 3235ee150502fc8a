import { describe, expect, it } from "vitest";

import { openBoard } from "../support/board.ts";
import { useBrowserService } from "../support/browser-service.ts";
import { freezeClock } from "../support/browser.ts";
import { until } from "../support/until.ts";

const world = useBrowserService({ sse: { heartbeat_interval_seconds: 1 } });

const tick = (n: number) => ({ type: "tick", data: { n } });

describe("a page in Chromium with the client", () => {
  it("closes its stream when it is hidden for long, and gets the missed events when it is visible again", async () => {
    const board = await openBoard(world.context, world.service.url, "{ pauseWhenHiddenSeconds: 0.5 }");
    // Headless Chromium takes every page for visible, so the page itself is made to report that it is hidden.
    const show = (isShown: boolean): Promise<void> =>
      board.page.evaluate(`
        Object.defineProperty(document, "hidden", { configurable: true, value: ${!isShown} });
        document.dispatchEvent(new Event("visibilitychange"));
      `);
    await board.untilConnected();
    await world.service.publish(tick(1));
    await board.ids(1);
    await show(false);
    const paused = await board.until("a pause", ({ states }) => states.at(-1)?.state === "reconnecting");
    await until(async () => (await world.service.health()).sse.active_connections === 0, {
      what: "the end of the stream",
      timeoutMs: 20_000,
    });
    await world.service.publish([tick(2), tick(3)]);
    await show(true);
    await world.service.publish(tick(4));
    expect(await board.ids(4)).toEqual(["1", "2", "3", "4"]);
    const { attempts } = await board.seen();
    expect(paused.attempts).toHaveLength(1);
    expect(attempts.map(({ lastEventId }) => lastEventId)).toEqual([null, "1"]);
  });

  it("makes no request while offline, and one within 1.5 s when it is online", async () => {
    const clock = await freezeClock(world.context);
    const board = await openBoard(world.context, world.service.url);
    await board.page.evaluate(`addEventListener("online", () => (globalThis.onlineAt = performance.now()))`);
    await board.untilConnected();
    await world.service.publish(tick(1));
    await board.ids(1);
    await world.context.setOffline(true);
    await world.service.kill();
    const lost = await board.until("a loss", ({ retries }) => retries.length > 0);
    expect(lost.retries[0]?.delayMs).toBe(30_000);
    await world.restart();
    await world.service.publish(tick(2));
    expect((await board.seen()).attempts).toHaveLength(1);
    await clock.runFor(20_000);
    expect((await board.seen()).attempts).toHaveLength(1);
    await world.context.setOffline(false);
    await until(() => board.page.evaluate<number | undefined>("globalThis.onlineAt"), {
      what: "the event `online`",
      timeoutMs: 20_000,
    });
    await clock.runFor(1_500);
    expect(await board.ids(2)).toEqual(["1", "2"]);
    expect((await board.seen()).attempts).toHaveLength(2);
  });

  it("replaces a stream that survived being offline, while events are published", async () => {
    const board = await openBoard(world.context, world.service.url);
    await board.untilConnected();
    await world.context.setOffline(true);
    await world.context.setOffline(false);
    const published = [];
    while ((await board.seen()).attempts[1]?.answeredAt === undefined || published.length < 20) {
      const { events } = await world.service.publish(tick(published.length));
      published.push(...events.map(({ id }) => id));
    }
    await world.service.publish(tick(-1));
    expect(await board.ids(published.length + 1)).toEqual([...published, String(published.length + 1)]);
    await until(async () => (await world.service.health()).sse.active_connections === 1, {
      what: "the end of the old stream",
      timeoutMs: 20_000,
    });
    expect((await board.seen()).states.map(({ state }) => state)).toEqual(["connecting", "connected"]);
  });

  it("works in a worker of the page", async () => {
    const board = await openBoard(world.context, world.service.url);
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
    await until(async () => (await told()).includes("connected"), {
      what: "a stream in the worker",
      timeoutMs: 20_000,
    });
    await world.service.publish(tick(1));
    await until(async () => (await told()).length > 1, { what: "an event in the worker", timeoutMs: 20_000 });
    expect(await told()).toEqual(["connected", { id: "1", data: { n: 1 } }]);
  });
});
