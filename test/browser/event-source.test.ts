import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { launchBrowser, openHtml } from "../support/browser.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

/** A short delay, so that a test does not wait for a reconnect. */
const config = { sse: { retry_after_seconds: 1, max_connections: 2, heartbeat_interval_seconds: 1 } };

/** The events that a page has seen, as `type id`, and their data. */
interface Seen {
  readonly type: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

let browser: Browser;
let service: Service;
let folder: Awaited<ReturnType<typeof makeDataDir>>;

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await makeDataDir();
});

afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await service.stop();
});

afterAll(async () => {
  await browser.close();
  await folder.remove();
});

async function start(port = 0): Promise<void> {
  service = await startService({ config, dataDir: folder.path, port });
}

async function openSource(query: string): Promise<Page> {
  const { page } = await openHtml(
    browser,
    service.url,
    `<!doctype html><title>native</title><script>
      const seen = [];
      const source = new EventSource("/api/events?${query}");
      for (const type of ["connected", "gap", "close", "late", "tick"]) {
        source.addEventListener(type, (e) => seen.push({ type, id: e.lastEventId, data: JSON.parse(e.data) }));
      }
    </script>`,
  );
  return page;
}

const seenBy = (page: Page): Promise<Seen[]> => page.evaluate<Seen[]>("seen");

async function untilSeen(page: Page, type: string, count: number): Promise<Seen[]> {
  await until(async () => (await seenBy(page)).filter((event) => event.type === type).length >= count, {
    what: () => `${count} events ${type}`,
    timeoutMs: 20_000,
    everyMs: 50,
  });
  return (await seenBy(page)).filter((event) => event.type === type);
}

const isAlive = async (page: Page): Promise<boolean> =>
  (await page.evaluate<number>("source.readyState")) !== 2;

describe("a native EventSource", () => {
  it("resumes after a kill -9 that came before its first matching event", async () => {
    await start();
    const page = await openSource("types=late&on_busy=stream");
    await untilSeen(page, "connected", 1);
    await service.publish({ type: "hidden", data: {} });
    await service.kill();
    await start(service.port);
    const { events } = await service.publish({ type: "late", data: { n: 1 } });
    const late = await untilSeen(page, "late", 1);
    expect(late.map(({ id }) => id)).toEqual([events[0]?.id]);
    expect(await untilSeen(page, "connected", 2)).toHaveLength(2);
  });

  it("resumes at the right place after many events that its filter hid", async () => {
    await start();
    const page = await openSource("types=late&on_busy=stream");
    await untilSeen(page, "connected", 1);
    const { events } = await service.publish(
      Array.from({ length: 500 }, (_, n) => ({ type: "hidden", data: { n } })),
    );
    const head = events.at(-1)?.id ?? "";
    const published = Date.now();
    // A heartbeat carries the cursor, and no listener sees it. When the second is written, the first has arrived.
    await until(
      async () => {
        const answer = (await (await service.admin("/api/admin/clients")).json()) as {
          clients: { cursor: string; last_written_at: string }[];
        };
        const [client] = answer.clients;
        return client?.cursor === head && Date.parse(client.last_written_at) > published + 1_300;
      },
      { what: "heartbeats after the hidden events", timeoutMs: 20_000, everyMs: 50 },
    );
    await service.kill();
    await start(service.port);
    await service.publish({ type: "late", data: {} });
    const [, again] = await untilSeen(page, "connected", 2);
    expect(again?.data["last_event_id"]).toBe(head);
    expect(await untilSeen(page, "late", 1)).toHaveLength(1);
    expect((await seenBy(page)).some(({ type }) => type === "gap")).toBe(false);
  });

  it("survives a drain and misses nothing", async () => {
    await start();
    const page = await openSource("types=tick&on_busy=stream");
    await untilSeen(page, "connected", 1);
    await service.admin("/api/admin/drain", { method: "POST" });
    const closed = await untilSeen(page, "close", 2);
    expect(closed.map(({ data }) => data["reason"])).toEqual(["drain", "drain"]);
    const { events } = await service.publish({ type: "tick", data: { n: 1 } });
    await service.admin("/api/admin/resume", { method: "POST" });
    const ticks = await untilSeen(page, "tick", 1);
    expect(ticks.map(({ id }) => id)).toEqual([events[0]?.id]);
    expect(await isAlive(page)).toBe(true);
  });

  it("survives a full channel with on_busy=stream, and connects when there is room", async () => {
    await start();
    const holders = await Promise.all([service.stream(), service.stream()]);
    const page = await openSource("types=tick&on_busy=stream");
    const closed = await untilSeen(page, "close", 2);
    expect(closed[0]?.data["reason"]).toBe("limit");
    expect(await isAlive(page)).toBe(true);
    holders[0]?.reset();
    await untilSeen(page, "connected", 1);
    const { events } = await service.publish({ type: "tick", data: {} });
    expect((await untilSeen(page, "tick", 1))[0]?.id).toBe(events[0]?.id);
  });

  it("gives up at a full channel without on_busy=stream, which is why the parameter exists", async () => {
    await start();
    await Promise.all([service.stream(), service.stream()]);
    const page = await openSource("types=tick");
    await until(async () => !(await isAlive(page)), {
      what: "the end of the EventSource",
      timeoutMs: 20_000,
    });
    expect(await seenBy(page)).toEqual([]);
  });
});
