import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { launchBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const subscribeToken = "subscribe-token-of-the-tests";
const metricsToken = "metrics-token-of-the-tests";

let browser: Browser;
let service: Service;
let opened: WatchedPage[] = [];

beforeAll(async () => {
  const config = { auth: { subscribe: "token", metrics: "token" }, channels: { allowed: ["*"] } };
  const env = { SUBSCRIBE_TOKEN: subscribeToken, METRICS_TOKEN: metricsToken };
  [browser, service] = await Promise.all([launchBrowser(), startService({ config, env })]);
});

afterEach(async () => {
  await Promise.all(opened.map(({ context }) => context.close()));
  opened = [];
});

afterAll(async () => {
  await browser.close();
  await service.stop();
});

async function openConsole(query: string): Promise<WatchedPage> {
  const watched = await openPage(browser);
  opened.push(watched);
  await watched.page.goto(`${service.url}/${query}`);
  await watched.page.getByText("Reading this channel requires a token.").waitFor();
  return watched;
}

const input = (page: Page) => page.getByPlaceholder("SUBSCRIBE_TOKEN");

async function give(page: Page, token: string): Promise<void> {
  await input(page).fill(token);
  await page.keyboard.press("Enter");
}

/** The browser logs each refusal as an error. */
const refusals = (count: number) => Array.from({ length: count }, () => expect.stringContaining("401"));

describe("the console where streams are guarded", () => {
  it("asks for a read token, and uses it for past and new events", async () => {
    await service.publish({ type: "before", data: { agent_id: 3 } }, "guarded");
    const { page, complaints } = await openConsole("?channel=guarded");
    await page.getByText("Disconnected", { exact: true }).waitFor();
    expect(await page.locator(".event").count()).toBe(0);
    expect(await page.locator("#notice").isVisible()).toBe(false);

    await give(page, subscribeToken);
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.locator("#event-1").waitFor();
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Forget token");
    await service.publish({ type: "after", data: {} }, "guarded");
    await page.locator("#event-2").waitFor();
    await page.locator("#event-1").click();
    await page.locator("#inspector").getByText("Stored").waitFor();

    expect(await page.content()).not.toContain(subscribeToken);
    expect(await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")).toBe("[{},{}]");
    expect(page.url()).not.toContain(subscribeToken);
    expect(complaints).toEqual(refusals(1));
  });

  it("asks again when the token is wrong, and after the token was forgotten", async () => {
    const { page, complaints } = await openConsole("?channel=stranger");
    await give(page, "wrong");
    await page.locator("#read-note", { hasText: "A valid token is needed" }).waitFor();
    expect(await input(page).inputValue()).toBe("");
    expect(await page.evaluate("document.activeElement.id")).toBe("read-token");

    await give(page, subscribeToken);
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Forget token" }).click();
    await page.getByText("Reading this channel requires a token.").waitFor();
    await page.getByText("Disconnected", { exact: true }).waitFor();
    await input(page).waitFor();
    await until(() => complaints.length === 3, { what: "the refusals", timeoutMs: 20_000 });
    expect(complaints).toEqual(refusals(3));
  });

  it("hides the guarded numbers, and counts the events that it sees", async () => {
    const { page, complaints } = await openConsole("?channel=numbers");
    await page.getByText("healthy").waitFor();
    expect(await page.locator("#clients-count").innerText()).toBe("–");
    expect(await page.locator("#clients-meter").isVisible()).toBe(false);
    await give(page, subscribeToken);
    await page.getByText("Connected", { exact: true }).waitFor();
    await service.publish({ type: "tick", data: {} }, "numbers");
    await until(async () => (await page.locator("#head-id").innerText()) === "1", {
      what: "the head",
      timeoutMs: 20_000,
    });
    expect(await page.locator("dl.stats").innerText()).not.toMatch(/NaN|undefined|null|stored/);
    expect(await page.locator("footer").innerText()).toMatch(/^edge-sse \d+\.\d+\.\d+/);
    expect(complaints).toEqual(refusals(1));
  });

  it("shows the place of the token in its snippets, but not the token", async () => {
    const { page } = await openConsole("?channel=snippets");
    await give(page, subscribeToken);
    await page.getByText("Connected", { exact: true }).waitFor();
    const texts: string[] = [];
    for (const name of ["curl", "EventSource", "SSEClient", "HTMX"]) {
      await page.getByRole("tab", { name, exact: true }).click();
      texts.push(await page.getByRole("tabpanel").innerText());
    }
    const [curl, native, client, htmx] = texts;
    expect(curl).toContain(`curl -N -H "Authorization: Bearer $SUBSCRIBE_TOKEN" '${service.url}/api/events`);
    expect(native).toContain("Put it into the cookie __Host-edge_sse");
    expect(client).toContain("token: async () =>");
    expect(htmx).toContain("Put it into the cookie __Host-edge_sse");
    expect(texts.join()).not.toContain(subscribeToken);
  });
});
