import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { launchBrowser, openHtml, type WatchedPage } from "../support/browser.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const partial = await readFile(join(import.meta.dirname, "../../public/partials/sse.html"), "utf8");

/** Ways to have HTMX in a page that includes the partial. */
const PAGES: Readonly<Record<string, (body: string) => string>> = {
  "HTMX 2 and its extension in the head": (body) =>
    page(`<script src="/vendor/htmx-2.js"></script><script src="/vendor/htmx-2-sse.js"></script>`, body),
  "HTMX 2 without the extension, at the end of the body": (body) =>
    page("", `${body}<script src="/vendor/htmx-2.js"></script>`),
  "HTMX 4 and its extension in the head": (body) =>
    page(`<script src="/vendor/htmx-4.js"></script><script src="/vendor/htmx-4-sse.js"></script>`, body),
  "HTMX 4 without the extension, deferred": (body) =>
    page(`<script defer src="/vendor/htmx-4.js"></script>`, body),
  "no HTMX": (body) => page("", body),
  "no HTMX, and the wish for HTMX 4": (body) => page("", body.replace("/htmx-sse.js", "/htmx-sse.js?htmx=4")),
};

/** Adds up what comes, where the partial only shows the latest. */
const adding = partial.replace('sse-swap="turn_detected"', 'sse-swap="turn_detected" hx-swap="beforeend"');

let browser: Browser;
let service: Service;
let folder: Awaited<ReturnType<typeof makeDataDir>>;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await service.stop();
  await folder.remove();
});

afterAll(() => browser.close());

function page(head: string, body: string): string {
  return `<!doctype html><html lang="en"><head><title>HTMX</title>${head}</head><body>${body}</body></html>`;
}

async function start(maxConnections = 10, port = 0): Promise<void> {
  if (port === 0) {
    folder = await makeDataDir();
  }
  const config = { sse: { retry_after_seconds: 1, max_connections: maxConnections } };
  service = await startService({ config, dataDir: folder.path, port });
}

async function open(html: string): Promise<WatchedPage> {
  return openHtml(browser, service.url, html);
}

async function untilConnected(count = 1): Promise<void> {
  await until(async () => (await service.health()).sse.active_connections === count, {
    what: () => `${count} clients`,
    timeoutMs: 20_000,
    everyMs: 50,
  });
}

/**
 * Waits for `htmx-sse.js` to have taken over. In a page into which the partial was swapped, the extension of HTMX 2 may
 * have opened a source of its own before. What comes while that one is replaced is lost, and until the service has
 * noticed its end, it counts two clients.
 */
async function untilTakenOver(of: Page): Promise<void> {
  await of.waitForFunction(`
    const elements = [...document.querySelectorAll("[sse-connect]")];
    const sources = elements.map((element) => element["htmx-internal-data"]?.sseEventSource);
    const isOurs = (source) => source !== undefined && !(source instanceof EventSource);
    elements.length > 0 && (htmx.version.startsWith("4.") || sources.every(isOurs));
  `);
}

/** Waits for the service to count so many clients. It notices the end of a stream when it writes to it. */
async function untilCounted(count: number): Promise<void> {
  await until(
    async () => {
      await service.publish({ type: "nobody", data: null });
      return (await service.health()).sse.active_connections === count;
    },
    { what: () => `${count} clients`, timeoutMs: 20_000, everyMs: 50 },
  );
}

const slot = (of: Page, type: string) => of.locator(`[sse-swap="${type}"]`);

async function untilText(of: Page, type: string, text: string | RegExp): Promise<void> {
  await slot(of, type).filter({ hasText: text }).waitFor({ timeout: 20_000 });
}

/** Publishes until it is shown: a page that is being set up starts with what comes then. */
async function untilShown(of: Page, type: string, text: string): Promise<void> {
  await until(
    async () => {
      await service.publish({ type, data: `<i>${text}</i>` });
      return (await slot(of, type).allInnerTexts()).join().includes(text);
    },
    { what: `"${text}" in the page`, timeoutMs: 20_000, everyMs: 100 },
  );
}

describe.each(Object.entries(PAGES))("the partial with %s", (_, build) => {
  it("swaps by the type of the event, once, and takes HTML from strings only", async () => {
    await start();
    const { page: shown, complaints } = await open(
      build(`${adding}<p id="stray" sse-swap="session_ended"></p>`),
    );
    await untilConnected();
    await service.publish([
      { type: "state_transition", data: { to_state: "<img src=x onerror=alert(1)>" } },
      { type: "session_ended", data: "<b>ended</b>" },
      { type: "turn_detected", data: "1;" },
      { type: "turn_detected", data: "2;" },
    ]);
    await untilText(shown, "turn_detected", "1;2;");
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet1;2;");
    expect(JSON.parse(await slot(shown, "state_transition").innerText())).toEqual({
      to_state: "<img src=x onerror=alert(1)>",
    });
    expect(await shown.locator("img").count()).toBe(0);
    expect(await shown.locator("dd b").innerText()).toBe("ended");
    expect(await shown.locator("#stray b").innerText()).toBe("ended");
    expect(complaints).toEqual([]);
  });

  it("goes on after the last id when the service was killed", async () => {
    await start();
    const { page: shown } = await open(build(adding));
    await untilConnected();
    await service.publish({ type: "turn_detected", data: "1;" });
    await untilText(shown, "turn_detected", "1;");
    await service.kill();
    await start(10, service.port);
    await service.publish([
      { type: "turn_detected", data: "2;" },
      { type: "turn_detected", data: "3;" },
    ]);
    await untilText(shown, "turn_detected", "1;2;3;");
    await service.publish({ type: "turn_detected", data: "4;" });
    await untilText(shown, "turn_detected", "1;2;3;4;");
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet1;2;3;4;");
  });

  it("waits for a place when the channel is full", async () => {
    await start(1);
    const holder = await service.stream();
    const { page: shown } = await open(build(adding));
    await service.logged("limit_reached", {}, 20_000);
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet");
    holder.reset();
    await until(
      async () => {
        await service.publish({ type: "turn_detected", data: "in;" });
        return (await slot(shown, "turn_detected").innerText()).includes("in;");
      },
      { what: "an event in the page", timeoutMs: 20_000, everyMs: 300 },
    );
  });
});

describe("a page with more than the partial", () => {
  it.each(["2", "4"])("that includes it twice shows an event elsewhere once, with HTMX %s", async (htmx) => {
    await start();
    const twice = adding.replace("/htmx-sse.js", `/htmx-sse.js?htmx=${htmx}`) + adding;
    const stray = `<p id="stray" sse-swap="turn_detected" hx-swap="beforeend"></p>`;
    const { page: shown } = await open(page("", `${twice}${stray}`));
    await untilConnected(2);
    await service.publish(["1;", "2;"].map((data) => ({ type: "turn_detected", data })));
    await slot(shown, "turn_detected").nth(1).getByText("1;2;").waitFor();
    await shown.locator("#stray").getByText("1;2;").waitFor();
    expect(await shown.locator("#stray").innerText()).toBe("1;2;");
  });

  it("asks for more by hx-trigger, though the extension of HTMX 2 comes after it", async () => {
    await start();
    const asking = `<p hx-get="/health" hx-trigger="sse:session_ended"></p></section>`;
    const body = adding.replace("</section>", asking);
    const { page: shown } = await open(page(`<script src="/vendor/htmx-2.js"></script>`, body));
    await untilConnected();
    await untilShown(shown, "turn_detected", "ready");
    const asked = shown.waitForResponse(`${service.url}/health`);
    await service.publish({ type: "session_ended", data: null });
    expect((await asked).status()).toBe(200);
  });
});

describe.each([
  ["HTMX 2", `<script src="/vendor/htmx-2.js"></script>`],
  [
    "HTMX 2 and its extension",
    `<script src="/vendor/htmx-2.js"></script><script src="/vendor/htmx-2-sse.js"></script>`,
  ],
  ["HTMX 4", `<script src="/vendor/htmx-4.js"></script>`],
  [
    "HTMX 4 and its extension",
    `<script src="/vendor/htmx-4.js"></script><script src="/vendor/htmx-4-sse.js"></script>`,
  ],
])("the partial that comes later, by hx-get with %s,", (_, head) => {
  const late = `<button hx-get="/partials/sse.html" hx-target="#place">Show</button>
    <button hx-get="/test-page" hx-target="#place" hx-select="#nothing">Hide</button>
    <div id="place"></div><p id="stray" sse-swap="session_ended"></p>`;

  it("opens one stream, takes HTML from strings, and goes on after the last id", async () => {
    await start();
    const { page: shown, complaints } = await open(page(head, late));
    await shown.getByRole("button", { name: "Show" }).click();
    await untilTakenOver(shown);
    await untilShown(shown, "turn_detected", "ready");
    await service.publish([
      { type: "session_ended", data: "<b>ended</b>" },
      { type: "turn_detected", data: "<i>1</i>" },
    ]);
    await untilText(shown, "turn_detected", /^1$/);
    expect(await shown.locator("#stray b").innerText()).toBe("ended");
    await untilCounted(1);
    expect(complaints).toEqual([]);

    await service.kill();
    await start(10, service.port);
    await service.publish({ type: "turn_detected", data: "<i>2</i>" });
    await untilText(shown, "turn_detected", /^2$/);
  });

  it("ends its stream when it is swapped out, and opens another when it is back", async () => {
    await start();
    const { page: shown } = await open(page(head, late));
    for (const text of ["once", "twice"]) {
      await shown.getByRole("button", { name: "Show" }).click();
      await untilTakenOver(shown);
      await untilShown(shown, "turn_detected", text);
      await untilCounted(1);
      expect(await slot(shown, "turn_detected").innerText()).toBe(text);
      await shown.getByRole("button", { name: "Hide" }).click();
      await slot(shown, "turn_detected").waitFor({ state: "detached" });
      await untilCounted(0);
    }
  });
});

describe("the partial by itself", () => {
  it("works when it is looked at as a page, within its policy", async () => {
    await start();
    const watched = await open("");
    await watched.page.goto(`${service.url}/partials/sse.html`);
    await untilConnected();
    await service.publish({ type: "objective_changed", data: "ship" });
    await untilText(watched.page, "objective_changed", "ship");
    expect(watched.complaints).toEqual([]);
  });

  it("does not swap in a refusal, and does not ask again for what will not change", async () => {
    await start();
    for (const htmx of ["2", "4"]) {
      const body = adding
        .replace('connect="/api/events?', 'connect="/api/events?channel=nobody&')
        .replace("/htmx-sse.js", `/htmx-sse.js?htmx=${htmx}`);
      const { page: shown } = await open(page("", body));
      let requests = 0;
      shown.on("response", (response) => {
        requests += response.url().includes("channel=nobody") ? 1 : 0;
      });
      await until(() => requests > 0, { what: "the refusal", timeoutMs: 20_000 });
      await shown.waitForTimeout(2_500);
      expect(requests).toBe(1);
      expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet");
    }
  });
});
