import { SignJWT } from "jose";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { openBoard, type Board } from "../support/board.ts";
import { launchBrowser } from "../support/browser.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";
import { startUnruly, type UnrulyService } from "../support/unruly-service.ts";
import { until } from "../support/until.ts";

const subscribeToken = "subscribe-token-of-the-tests";
const jwtSecret = "jwt-secret-of-the-tests-of-32-bytes-or-more";

const bearer = { headers: { Authorization: `Bearer ${subscribeToken}` } };

let browser: Browser;
let context: BrowserContext;
let service: Service;
let folder: Awaited<ReturnType<typeof makeDataDir>>;
/** Pages on other ports have other origins but the same site, so `SameSite` alone would let them through. */
let listed: UnrulyService;
let unlisted: UnrulyService;
let holders: RawStream[] = [];

beforeAll(async () => {
  [browser, folder, listed, unlisted] = await Promise.all([
    launchBrowser(),
    makeDataDir(),
    startUnruly(),
    startUnruly(),
  ]);
  await start();
});

beforeEach(async () => {
  context = await browser.newContext();
});

afterEach(async () => {
  await context.close();
  for (const holder of holders) {
    holder.reset();
  }
  holders = [];
});

afterAll(async () => {
  await browser.close();
  await Promise.all([service.stop(), listed.stop(), unlisted.stop()]);
  await folder.remove();
});

async function start(port = 0): Promise<void> {
  const config = {
    auth: { subscribe: ["token", "jwt"] },
    channels: { allowed: ["default", "full"] },
    cors: { allowed_origins: [listed.url] },
    sse: { retry_after_seconds: 2, max_connections: 6, heartbeat_interval_seconds: 1 },
  };
  const env = { SUBSCRIBE_TOKEN: subscribeToken, JWT_SECRET: jwtSecret };
  service = await startService({ config, env, dataDir: folder.path, port });
}

const mint = (seconds: number): Promise<string> =>
  new SignJWT({ sub: "reader", exp: Date.now() / 1_000 + seconds, edge_sse: { subscribe: {} } })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(jwtSecret));

async function buyTicket(): Promise<string> {
  const answer = await service.fetch("/api/tickets", { method: "POST", ...bearer });
  return ((await answer.json()) as { ticket: string }).ticket;
}

/** A page of the service's origin that sets the cookie. Chromium treats localhost as secure without HTTPS. */
async function logIn(): Promise<Page> {
  const page = await context.newPage();
  await page.route(`${service.url}/login`, (route) =>
    route.fulfill({
      contentType: "text/html; charset=utf-8",
      headers: {
        "Set-Cookie": `__Host-edge_sse=${subscribeToken}; Path=/; Secure; HttpOnly; SameSite=None`,
      },
      body: "<!doctype html><title>logged in</title>",
    }),
  );
  await page.goto(`${service.url}/login`);
  return page;
}

async function openBlank(origin: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/favicon.svg`);
  return page;
}

/** Opens a native EventSource in a page. Returns a function that reads its record. */
async function openSource(page: Page, query: string, options = "{}"): Promise<() => Promise<string[]>> {
  await page.evaluate(`
    globalThis.seen = [];
    globalThis.source = new EventSource("${service.url}/api/events?${query}", ${options});
    source.addEventListener("connected", () => seen.push("connected"));
    source.addEventListener("tick", ({ lastEventId }) => seen.push(lastEventId));
    source.addEventListener("error", () => seen.push(source.readyState === EventSource.CLOSED ? "dead" : "lost"));
  `);
  return () => page.evaluate<string[]>("seen");
}

const untilSeen = (seen: () => Promise<string[]>, wanted: string): Promise<unknown> =>
  until(async () => (await seen()).includes(wanted), { what: wanted, timeoutMs: 20_000, everyMs: 25 });

async function publishTick(): Promise<string> {
  const { events } = await service.publish({ type: "tick", data: {} });
  return events[0]?.id ?? "";
}

/** Publishes until it is stopped. Stopping it returns the ids. */
function publishSteadily(): () => Promise<string[]> {
  const end = new AbortController();
  const publish = async (): Promise<string[]> => {
    const published: string[] = [];
    while (!end.signal.aborted) {
      published.push(await publishTick());
    }
    return published;
  };
  const ids = publish();
  return () => {
    end.abort();
    return ids;
  };
}

/** The clients that the service has accepted since its start. */
const connected = (): unknown[] =>
  service.logs.filter(({ event }) => event === "client_connected").map((line) => line["client_id"]);

const idOf = (index: number): Promise<unknown> =>
  until(() => connected()[index], { what: `connect ${index + 1}`, timeoutMs: 20_000 });

describe("a native EventSource with the cookie of its own origin", () => {
  it("opens a stream, and resumes with the cookie after a kill -9", async () => {
    const page = await logIn();
    const seen = await openSource(page, "types=tick&on_busy=stream");
    await untilSeen(seen, "connected");
    const before = await publishTick();
    await untilSeen(seen, before);
    await service.kill();
    await start(service.port);
    const between = await publishTick();
    await untilSeen(seen, between);
    const after = await publishTick();
    await untilSeen(seen, after);
    const all = await seen();
    expect(all.filter((entry) => /^\d+$/.test(entry))).toEqual([before, between, after]);
    expect(all).not.toContain("dead");
  });

  it("is refused without the cookie", async () => {
    const page = await openBlank(service.url);
    const seen = await openSource(page, "types=tick&on_busy=stream");
    await untilSeen(seen, "dead");
    expect(await seen()).toEqual(["dead"]);
  });
});

describe("a ticket in the URL of a native EventSource", () => {
  it("opens the first stream only, and a reconnect with it is refused", async () => {
    const page = await openBlank(service.url);
    const seen = await openSource(page, `on_busy=stream&ticket=${await buyTicket()}`);
    await untilSeen(seen, "connected");
    const id = await publishTick();
    await untilSeen(seen, id);
    await service.kill();
    await start(service.port);
    await untilSeen(seen, "dead");
    expect((await seen()).filter((entry) => entry !== "lost")).toEqual(["connected", id, "dead"]);
  });
});

const openListed = (options: string): Promise<Board> =>
  openBoard(context, listed.url, `{ url: "${service.url}/api/events", ${options} }`, service.url);

describe("a page of a listed origin", () => {
  it.each([
    ["a token", "", ["GET"]],
    ["a ticket", "ticket: true", ["POST", "GET"]],
  ])("reads a stream with our client and %s", async (_, option, methods) => {
    const sent: string[] = [];
    const urls: string[] = [];
    context.on("request", (request) => {
      if (request.url().includes("/api/")) {
        sent.push(request.method());
        urls.push(request.url());
      }
    });
    const board = await openListed(`token: "${subscribeToken}", ${option}`);
    await board.untilConnected();
    const id = await publishTick();
    expect(await board.ids(1)).toEqual([id]);
    expect(sent.filter((method) => method !== "OPTIONS")).toEqual(methods);
    expect(urls.join()).not.toContain(subscribeToken);
    expect(board.complaints).toEqual([]);
  });

  it("reads a stream with the cookie of the service, in a native EventSource too", async () => {
    await logIn();
    const board = await openListed("withCredentials: true");
    await board.untilConnected();
    const seen = await openSource(await openBlank(listed.url), "", "{ withCredentials: true }");
    await untilSeen(seen, "connected");
    const id = await publishTick();
    await untilSeen(seen, id);
    expect(await board.ids(1)).toEqual([id]);
  });

  it("sees the Retry-After of a full channel", async () => {
    const channel = "full";
    holders = await Promise.all(Array.from({ length: 6 }, () => service.stream({ channel }, bearer)));
    const board = await openListed(`token: "${subscribeToken}", ticket: true, channel: "full"`);
    const { retries, attempts } = await board.until("a refusal", (seen) => seen.retries.length > 0);
    expect(attempts.map(({ status }) => status)).toEqual([200, 503]);
    expect(retries.map(({ code }) => code)).toEqual(["limit"]);
    expect(retries[0]?.delayMs).toBeGreaterThanOrEqual(2_000);
  });
});

describe("a page of another origin", () => {
  it("reads neither stream nor history, and buys no ticket, whether with a token or with the cookie", async () => {
    await logIn();
    const page = await openBlank(unlisted.url);
    const outcomes = await page.evaluate<unknown>(`
      Promise.all(["/api/events", "/api/history", "/api/tickets"].flatMap((path) => [
        { credentials: "include" },
        { credentials: "include", mode: "no-cors" },
        { headers: { Authorization: "Bearer ${subscribeToken}" } },
      ].map((init) =>
        fetch("${service.url}" + path, { method: path === "/api/tickets" ? "POST" : "GET", ...init }).then(
          ({ type, status }) => [type, status],
          () => "failed",
        ),
      )))
    `);
    const nothing = ["failed", ["opaque", 0], "failed"];
    expect(outcomes).toEqual([...nothing, ...nothing, ...nothing]);
  });

  it("opens no stream with the cookie, neither in a native EventSource nor with our client", async () => {
    await logIn();
    const already = connected().length;
    const seen = await openSource(
      await openBlank(unlisted.url),
      "on_busy=stream",
      "{ withCredentials: true }",
    );
    await untilSeen(seen, "dead");
    const options = `{ url: "${service.url}/api/events", withCredentials: true }`;
    const board = await openBoard(context, unlisted.url, options, service.url);
    const { retries } = await board.until("a failure", (all) => all.retries.length > 0);
    expect(retries.map(({ code }) => code)).toEqual(["network"]);
    expect(await seen()).toEqual(["dead"]);
    // This stream appears in the log after those that were opened before it.
    holders = [await service.stream({}, bearer)];
    await idOf(already);
    expect(connected()).toHaveLength(already + 1);
  });
});

describe("a token that ends", () => {
  it.each(["", "ticket: true"])(
    "is replaced while events arrive: the old stream ends after the new one has opened {%s}",
    async (option) => {
      await context.exposeFunction("mint", mint);
      const already = connected().length;
      const board = await openBoard(
        context,
        service.url,
        `{ token: (refresh) => mint(refresh ? 600 : 6), ${option} }`,
      );
      await board.untilConnected();
      const stop = publishSteadily();
      const gone = await service.logged("client_disconnected", { client_id: await idOf(already) }, 20_000);
      const ids = await stop();
      expect(await board.ids(ids.length)).toEqual(ids);
      expect((await board.seen()).states.map(({ state }) => state)).toEqual(["connecting", "connected"]);
      const fresh = await idOf(already + 1);
      expect(service.logs.findIndex((line) => line["client_id"] === fresh)).toBeLessThan(
        service.logs.indexOf(gone),
      );
      expect(gone["reason"]).toBe("client_left");
      expect(board.complaints).toEqual([]);
    },
  );

  it("soon, like each one after it, causes no loop and loses nothing", async () => {
    await context.exposeFunction("mint", mint);
    const board = await openBoard(context, service.url, "{ token: () => mint(4) }");
    await board.untilConnected();
    const stop = publishSteadily();
    const { attempts, retries } = await board.untilConnected(2);
    const ids = await stop();
    expect(await board.ids(ids.length)).toEqual(ids);
    const pauses = attempts.slice(1).map(({ at }, n) => Math.round(at - (attempts[n]?.at ?? 0)));
    console.info("ms between connects with tokens of 4 s:", pauses);
    expect(pauses).toHaveLength(2);
    expect(Math.min(...pauses.slice(1))).toBeGreaterThanOrEqual(3_900);
    expect(retries.map(({ code }) => code)).toEqual(["token_expired"]);
  });
});
