import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { launchBrowser, openHtml, type WatchedPage } from "../support/browser.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const [partial = "", partial4 = ""] = await Promise.all(["sse.html", "sse-htmx-4.html"].map(adding));

const HTMX_2 = `<script src="/vendor/htmx-2.js"></script>`;
const HTMX_2_SSE = `${HTMX_2}<script src="/vendor/htmx-2-sse.js"></script>`;
const HTMX_4 = `<script src="/vendor/htmx-4.js"></script>`;
const HTMX_4_SSE = `${HTMX_4}<script src="/vendor/htmx-4-sse.js"></script>`;

const INCLUDING: readonly [name: string, build: (more?: string) => string][] = [
  ["HTMX 2 and its extension in the head", (more = "") => page(HTMX_2_SSE, partial + more)],
  ["HTMX 2 without the extension, at the end of the body", (more = "") => page("", partial + more + HTMX_2)],
  ["no HTMX", (more = "") => page("", partial + more)],
  ["HTMX 4 and its extension in the head", (more = "") => page(HTMX_4_SSE, partial4 + more)],
  [
    "HTMX 4 without the extension, deferred",
    (more = "") => page(HTMX_4.replace("<script", "<script defer"), partial4 + more),
  ],
  ["no HTMX, and the partial for HTMX 4", (more = "") => page("", partial4 + more)],
  ["HTMX 4 and its extension, and the partial for HTMX 2", (more = "") => page(HTMX_4_SSE, partial + more)],
  ["HTMX 4 without the extension, and the partial for HTMX 2", (more = "") => page(HTMX_4, partial + more)],
];

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

/** A partial whose slot for `turn_detected` shows all events, and not only the last one. */
async function adding(name: string): Promise<string> {
  const html = await readFile(join(import.meta.dirname, "../../public/partials", name), "utf8");
  return html.replace('sse-swap="turn_detected"', '$& hx-swap="beforeend"');
}

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

/** Waits for the module of a partial that was swapped into the page. */
async function untilSetUp(of: Page): Promise<void> {
  await of.waitForFunction(`window[Symbol.for("edge-sse/htmx-sse")]`);
}

/** Waits for a number of clients, and publishes, because the service notices a closed stream when it writes to it. */
async function untilCounted(count: number): Promise<void> {
  await until(
    async () => {
      await service.publish({ type: "nobody", data: null });
      return (await service.health()).sse.active_connections === count;
    },
    { what: () => `${count} clients`, timeoutMs: 20_000, everyMs: 50 },
  );
}

const slot = (of: Page, type: string) => of.locator(`dd[sse-swap="${type}"], dd[data-sse-swap="${type}"]`);

async function untilText(of: Page, type: string, text: string | RegExp): Promise<void> {
  await slot(of, type).filter({ hasText: text }).waitFor({ timeout: 20_000 });
}

/** Publishes until the page shows it, since a stream that has just been opened starts with the next event. */
async function untilShown(of: Page, type: string, text: string): Promise<void> {
  await until(
    async () => {
      await service.publish({ type, data: `<i>${text}</i>` });
      return (await slot(of, type).allInnerTexts()).join().includes(text);
    },
    { what: `"${text}" in the page`, timeoutMs: 20_000, everyMs: 100 },
  );
}

describe.each(INCLUDING)("the partial with %s", (_, build) => {
  it("swaps each event in once by its type, and takes HTML from strings only", async () => {
    await start();
    const { page: shown, complaints } = await open(
      build(`<p id="stray" data-sse-swap="session_ended"></p>
        <p id="untyped" data-sse-swap="message"></p>
        <p id="text" data-sse-swap="objective_changed" hx-swap="textContent"></p>`),
    );
    await untilConnected();
    const hostile = { to_state: "<img src=x onerror=alert(1)> & </dd>" };
    await service.publish([
      { type: "state_transition", data: hostile },
      { type: "objective_changed", data: hostile },
      { type: "session_ended", data: "<b>ended</b>" },
      { text: "<b>text</b>\n<i>in two lines</i>" },
      { type: "turn_detected", data: "1;" },
      { type: "turn_detected", data: "2;" },
    ]);
    await untilText(shown, "turn_detected", "1;2;");
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet1;2;");
    // As it was published: neither markup nor escapes.
    expect(await slot(shown, "state_transition").innerText()).toBe(JSON.stringify(hostile));
    expect(await shown.locator("#text").innerText()).toBe(JSON.stringify(hostile));
    expect(await shown.locator("img").count()).toBe(0);
    expect(await shown.locator("dd b").innerText()).toBe("ended");
    expect(await shown.locator("#stray b").innerText()).toBe("ended");
    expect(await shown.locator("#untyped").innerHTML()).toBe("<b>text</b>\n<i>in two lines</i>");
    expect(complaints).toEqual([]);
  });

  it("resumes after the last id when the service was killed", async () => {
    await start();
    const { page: shown } = await open(build());
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

  it("connects when a full channel has room again", async () => {
    await start(1);
    const holder = await service.stream();
    const { page: shown } = await open(build());
    await service.logged("limit_reached", {}, 20_000);
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet");
    holder.reset();
    await untilShown(shown, "turn_detected", "in;");
  });
});

describe("a page with HTMX 4 and its partial", () => {
  it("uses nothing that HTMX 4 removed or deprecated", async () => {
    await start();
    const watched = await open("");
    const warnings: string[] = [];
    watched.page.on("console", (line) => warnings.push(line.text()));
    await watched.page.setContent(page("", partial4));
    await untilConnected();
    await untilShown(watched.page, "turn_detected", "ready");
    expect(warnings).toEqual([]);
  });

  it("gets each event as a DOM event too, with data that is JSON and harmless as HTML", async () => {
    await start();
    const { page: shown } = await open(page(HTMX_4_SSE, partial4));
    await untilConnected();
    const heard = shown.evaluate<string>(`new Promise((resolve) => {
      const hear = (event) => resolve(event.detail.data);
      document.querySelector("section").addEventListener("session_ended", hear);
    })`);
    const data = { text: "<b>&amp;</b>" };
    await until(
      async () => {
        await service.publish({ type: "session_ended", data });
        return Promise.race([heard, null]);
      },
      { what: "the DOM event", timeoutMs: 20_000, everyMs: 100 },
    );
    expect(JSON.parse(await heard)).toEqual(data);
    expect(await heard).not.toMatch(/[<>&]/);
  });
});

describe("a page with more than the partial", () => {
  it.each([
    ["2", partial],
    ["4", partial4],
  ])("that includes it twice shows an event elsewhere once, with HTMX %s", async (_, once) => {
    await start();
    const stray = `<p id="stray" data-sse-swap="turn_detected" hx-swap="beforeend"></p>`;
    const { page: shown } = await open(page("", `${once}${once}${stray}`));
    await untilConnected(2);
    await service.publish(["1;", "2;"].map((data) => ({ type: "turn_detected", data })));
    await slot(shown, "turn_detected").nth(1).getByText("1;2;").waitFor();
    await shown.locator("#stray").getByText("1;2;").waitFor();
    expect(await shown.locator("#stray").innerText()).toBe("1;2;");
  });

  it("makes requests by hx-trigger, although the extension of HTMX 2 is loaded later", async () => {
    await start();
    const asking = `<p hx-get="/health" hx-trigger="sse:session_ended"></p></section>`;
    const { page: shown } = await open(page(HTMX_2, partial.replace("</section>", asking)));
    await untilConnected();
    await untilShown(shown, "turn_detected", "ready");
    const asked = shown.waitForResponse(`${service.url}/health`);
    await service.publish({ type: "session_ended", data: null });
    expect((await asked).status()).toBe(200);
  });
});

/** A page that gets a partial by `hx-get`. */
function late(head: string, name: string): string {
  return page(
    head,
    `<button hx-get="/partials/${name}" hx-target="#place">Show</button>
    <button hx-get="/test-page" hx-target="#place" hx-select="#nothing">Hide</button>
    <div id="place"></div><p id="stray" data-sse-swap="session_ended"></p>`,
  );
}

describe.each([
  ["HTMX 2", HTMX_2, "sse.html"],
  ["HTMX 2 and its extension", HTMX_2_SSE, "sse.html"],
  ["HTMX 4", HTMX_4, "sse-htmx-4.html"],
  ["HTMX 4 and its extension", HTMX_4_SSE, "sse-htmx-4.html"],
])("the partial that is swapped in later, with %s,", (_, head, name) => {
  it("opens one stream, takes HTML from strings, and resumes after the last id", async () => {
    await start();
    const { page: shown, complaints } = await open(late(head, name));
    await shown.getByRole("button", { name: "Show" }).click();
    await untilSetUp(shown);
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

  it("closes its stream when it is swapped out, and opens another when it is swapped in again", async () => {
    await start();
    const { page: shown } = await open(late(head, name));
    for (const text of ["once", "twice"]) {
      await shown.getByRole("button", { name: "Show" }).click();
      await untilSetUp(shown);
      await untilShown(shown, "turn_detected", text);
      await untilCounted(1);
      expect(await slot(shown, "turn_detected").innerText()).toBe(text);
      await shown.getByRole("button", { name: "Hide" }).click();
      await slot(shown, "turn_detected").waitFor({ state: "detached" });
      await untilCounted(0);
    }
  });
});

describe("a stream that the extension of HTMX 2 has opened before the partial's module is loaded", () => {
  it("is replaced without a lost or doubled event, and without markup from data", async () => {
    await start();
    const { page: shown } = await open(late(HTMX_2_SSE, "sse.html"));
    const asking = `<p hx-get="/health" hx-trigger="sse:turn_detected"></p></section>`;
    await shown.route("**/partials/sse.html", (route) =>
      route.fulfill({ contentType: "text/html", body: partial.replace("</section>", asking) }),
    );
    let asked = 0;
    shown.on("request", (request) => (asked += request.url() === `${service.url}/health` ? 1 : 0));
    const moduleLoads = Promise.withResolvers<void>();
    await shown.route("**/htmx-sse.js", async (route) => {
      await moduleLoads.promise;
      await route.continue();
    });
    await shown.getByRole("button", { name: "Show" }).click();
    await untilConnected();
    await service.publish({ type: "turn_detected", data: 1 });
    await untilText(shown, "turn_detected", "1");

    const reconnects = Promise.withResolvers<void>();
    await shown.route("**/api/events**", async (route) => {
      await reconnects.promise;
      await route.continue();
    });
    moduleLoads.resolve();
    await untilSetUp(shown);
    await service.publish({ type: "turn_detected", data: { html: "<img src=x onerror=alert(1)>" } });
    await service.publish({ type: "session_ended", data: "<b>ended</b>" });
    await service.publish({ type: "turn_detected", data: 3 });
    reconnects.resolve();
    await untilText(shown, "turn_detected", /3$/);
    expect(await slot(shown, "turn_detected").innerText()).toBe(
      `nothing yet1{"html":"<img src=x onerror=alert(1)>"}3`,
    );
    expect(await shown.locator("img").count()).toBe(0);
    expect(await shown.locator("#stray b").innerText()).toBe("ended");
    await until(() => asked === 3, { what: "a request for each event", timeoutMs: 20_000 });
    await untilCounted(1);
    expect(asked).toBe(3);
  });
});

describe("the partial on its own", () => {
  it.each(["sse.html", "sse-htmx-4.html"])(
    "works as a page, within its content security policy: %s",
    async (name) => {
      await start();
      const watched = await open("");
      await watched.page.goto(`${service.url}/partials/${name}`);
      await untilConnected();
      await service.publish({ type: "objective_changed", data: "ship" });
      await untilText(watched.page, "objective_changed", "ship");
      expect(watched.complaints).toEqual([]);
    },
  );
});

describe.each([
  ["2", partial],
  ["4", partial4],
])("a refusal of the stream, with HTMX %s,", (_, html) => {
  /** Opens the partial with a clock that the test can move, and waits for the first answer to be there. */
  async function openRefused(query: string): Promise<{ shown: Page; requests: string[] }> {
    const { page: shown } = await open("");
    await shown.clock.install();
    const requests: string[] = [];
    shown.on("request", (request) => {
      if (request.url().includes("/api/events")) {
        requests.push(request.url());
      }
    });
    const refused = shown.waitForResponse((response) => response.url().includes("/api/events"));
    await shown.setContent(page("", html.replaceAll("on_busy=stream", query)));
    await refused;
    return { shown, requests };
  }

  it("is not swapped in, and is not repeated if it is final", async () => {
    await start();
    const { shown, requests } = await openRefused("channel=nobody");
    await shown.clock.runFor("10:00");
    await shown.evaluate(`fetch("/health")`);
    expect(requests).toHaveLength(1);
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet");
  });

  it("is not swapped in, and is repeated if it can pass", async () => {
    await start(1);
    const holder = await service.stream();
    const { shown, requests } = await openRefused("types=turn_detected");
    expect(requests).toHaveLength(1);
    holder.reset();
    await until(
      async () => {
        await shown.clock.runFor("01:00");
        return requests.length > 1;
      },
      { what: "another request", timeoutMs: 20_000 },
    );
    expect(await slot(shown, "turn_detected").innerText()).toBe("nothing yet");
  });
});
