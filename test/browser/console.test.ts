import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { launchBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { adminToken, publishToken, startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let browser: Browser;
let service: Service;
let opened: WatchedPage[] = [];

beforeAll(async () => {
  [browser, service] = await Promise.all([
    launchBrowser(),
    startService({ config: { channels: { allowed: ["*"] }, sse: { retry_after_seconds: 1 } } }),
  ]);
});

afterEach(async () => {
  const complaints = opened.flatMap((watched) => watched.complaints);
  await Promise.all(opened.map(({ context }) => context.close()));
  opened = [];
  if (complaints.length > 0) {
    throw new Error(`The page complains:\n${complaints.join("\n")}`);
  }
});

afterAll(async () => {
  await browser.close();
  await service.stop();
});

async function openConsole(query: string, size?: { width: number; height: number }): Promise<WatchedPage> {
  const watched = await openPage(browser, size);
  opened.push(watched);
  await watched.page.goto(`${service.url}/${query}`);
  await watched.page.getByText("Connected", { exact: true }).waitFor();
  return watched;
}

describe("the console", () => {
  it("publishes an event, shows it, and reports how long that took", async () => {
    const { page } = await openConsole("?channel=publish");
    await page.getByLabel("Publish token").fill(publishToken);
    await page.getByLabel("Type", { exact: true }).fill("deployed");
    await page.getByLabel("Data (JSON)").fill('{"project_id":7,"text":"<img src=x onerror=alert(1)>"}');
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByText(/^Event 1 stored in .+, received after .+\.$/).waitFor();

    await page.locator(".event", { hasText: /deployed/ }).click();
    const inspector = page.locator("#inspector");
    await inspector.getByText("Stored").waitFor();
    expect(await inspector.innerText()).toContain("<img src=x onerror=alert(1)>");
    expect(await page.locator("main img").count()).toBe(0);
    expect(await inspector.innerText()).toMatch(/Project\s+7/);
  });

  it("shows the text of a refusal", async () => {
    const { page, complaints } = await openConsole("?channel=refused");
    await page.getByLabel("Publish token").fill("wrong");
    await page.getByRole("button", { name: "Publish" }).click();
    const outcome = page.locator("#publish-outcome");
    await until(async () => /token/i.test(await outcome.innerText()), {
      what: "the refusal",
      timeoutMs: 20_000,
    });
    // The browser logs the status as an error.
    expect(complaints).toEqual([expect.stringContaining("401")]);
    complaints.length = 0;
  });

  it("does not publish invalid JSON", async () => {
    const { page } = await openConsole("?channel=refused");
    await page.getByLabel("Publish token").fill(publishToken);
    await page.getByLabel("Data (JSON)").fill("{");
    await page.getByText(/^Not valid JSON/).waitFor();
    await page.getByRole("button", { name: "Publish" }).click();
    expect((await service.health("refused")).sse.last_event_id).toBe("0");
  });

  it("starts with the recent events and their times", async () => {
    await service.publish(
      Array.from({ length: 130 }, (_, n) => ({ type: "tick", data: { n } })),
      "recent",
    );
    const { page } = await openConsole("?channel=recent");
    await until(async () => (await page.locator(".event").count()) === 100, {
      what: "100 events",
      timeoutMs: 20_000,
    });
    expect(await page.locator(".event").first().innerText()).toMatch(/^130\s+tick[^]+\d\d:\d\d:\d\d\.\d{3}$/);
    await service.publish({ type: "tick", data: {} }, "recent");
    await page.locator("#event-131").waitFor();
  });

  it("filters on the server, and keeps the filter in the address", async () => {
    const { page } = await openConsole("?channel=filter");
    await page.getByLabel("Types").fill("turn_*");
    await page.getByLabel("Projects").fill("7");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    expect(page.url()).toBe(`${service.url}/?channel=filter&types=turn_*&project_id=7`);
    await until(
      async () => {
        const answer = await service.admin("/api/admin/clients?channel=filter");
        return (await answer.text()).includes('{"types":["turn_*"],"project_id":["7"],"agent_id":null}');
      },
      { what: "a client with the filter", timeoutMs: 20_000 },
    );
    await service.publish(
      [
        { type: "state_transition", data: { project_id: 7 } },
        { type: "turn_detected", data: { project_id: 8 } },
        { type: "turn_detected", data: { project_id: 7 } },
      ],
      "filter",
    );
    await page.locator("#event-3").waitFor();
    expect(await page.locator(".event").count()).toBe(1);

    await page.reload();
    expect(await page.getByLabel("Types").inputValue()).toBe("turn_*");
    await page.locator("#event-3").waitFor();
  });

  it("filters by a value of the selected event", async () => {
    await service.publish(
      [
        { type: "turn_detected", data: { agent_id: 1 } },
        { type: "session_ended", data: { agent_id: 2 } },
      ],
      "only",
    );
    const { page } = await openConsole("?channel=only");
    await page.locator(".event", { hasText: /session_ended/ }).click();
    await page.getByRole("button", { name: "Filter by agent 2" }).click();
    await until(async () => (await page.locator(".event").count()) === 1, {
      what: "one event",
      timeoutMs: 20_000,
    });
    expect(await page.getByLabel("Agents").inputValue()).toBe("2");
  });

  it("does not change while it is paused, and then shows the new events", async () => {
    const { page } = await openConsole("?channel=pause");
    await page.keyboard.press("p");
    await service.publish(
      [
        { type: "tick", data: 1 },
        { type: "tick", data: 2 },
      ],
      "pause",
    );
    await page.getByRole("button", { name: "Resume (2 new)" }).click();
    await page.locator("#event-2").waitFor();
    expect(await page.locator(".event").count()).toBe(2);
  });

  it("keeps the last 500 events", async () => {
    const { page } = await openConsole("?channel=bounded");
    for (let batch = 0; batch < 3; batch++) {
      await service.publish(
        Array.from({ length: 300 }, (_, n) => ({ type: "tick", data: { n } })),
        "bounded",
      );
    }
    await page.getByText("900 received, last 500 kept").waitFor();
    expect(await page.locator(".event").count()).toBe(500);
    expect(await page.locator(".event").first().innerText()).toMatch(/^900\s/);
  });

  it("works with the keyboard: the arrow keys move through the events and the snippets", async () => {
    await service.publish(
      [
        { type: "first", data: {} },
        { type: "second", data: {} },
      ],
      "keys",
    );
    const { page } = await openConsole("?channel=keys");
    await page.locator("#event-2").waitFor();
    await page.getByRole("listbox", { name: "Events" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    expect(await page.locator("[aria-selected=true].event").innerText()).toContain("first");
    expect(await page.getByRole("listbox").getAttribute("aria-activedescendant")).toBe("event-1");
    await page.keyboard.press("Escape");
    expect(await page.locator("[aria-selected=true].event").count()).toBe(0);
    await page.locator("#inspector").getByText("Select an event").waitFor();

    await page.getByRole("tab", { name: "curl" }).focus();
    await page.keyboard.press("ArrowRight");
    expect(await page.getByRole("tabpanel").innerText()).toContain("new EventSource(");
    expect(await page.getByRole("tabpanel").innerText()).toContain("channel=keys&on_busy=stream");
  });

  it("lists the clients for an operator with the admin token, and kicks one of them", async () => {
    const stream = await service.stream({ channel: "kick", types: "turn_*" });
    const { page } = await openConsole("?channel=kick");
    await page.getByPlaceholder("ADMIN_TOKEN").fill(adminToken);
    await page.keyboard.press("Enter");
    await page.getByText("2 connected").waitFor();
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Forget token");
    await page
      .getByRole("row", { name: /turn_\*/ })
      .getByRole("button")
      .click();
    await page.getByText("1 connected").waitFor();
    await stream.untilClosed();
    expect(stream.events.at(-1)).toMatchObject({ type: "close" });

    // The page can kick itself. It reports that, and reconnects only on request.
    await page
      .getByRole("row", { name: /this page/ })
      .getByRole("button")
      .click();
    await page.getByText("An operator ended this stream.").waitFor();
    await page.getByText("Disconnected", { exact: true }).waitFor();
    await service.publish({ type: "missed", data: {} }, "kick");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.locator("#event-1").waitFor();

    await page.getByRole("button", { name: "Forget token" }).click();
    expect(await page.getByRole("row").count()).toBe(0);
    expect(await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")).toBe("[{},{}]");
  });

  it("asks again for the admin token when it is wrong", async () => {
    const { page, complaints } = await openConsole("?channel=stranger");
    await page.getByPlaceholder("ADMIN_TOKEN").fill("wrong");
    await page.getByRole("button", { name: "Show" }).click();
    await page.locator("#clients-note", { hasText: /token/i }).waitFor();
    expect(await page.getByPlaceholder("ADMIN_TOKEN").isVisible()).toBe(true);
    expect(await page.getByRole("button", { name: "Drain" }).count()).toBe(0);
    expect(complaints).toEqual([expect.stringContaining("401")]);
    complaints.length = 0;
  });

  it("drains only this channel, after a confirmation, and resumes it", async () => {
    const stream = await service.stream();
    const other = await service.stream({ channel: "bystander" });
    const { page } = await openConsole("");
    await page.getByPlaceholder("ADMIN_TOKEN").fill(adminToken);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("2 connected").waitFor();

    const dialog = page.getByRole("dialog", { name: "Drain channel default?" });
    await page.getByRole("button", { name: "Drain…" }).click();
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    expect((await service.health()).status).toBe("healthy");

    await page.getByRole("button", { name: "Drain…" }).click();
    await dialog.getByLabel("Drain for").selectOption("1 day");
    await dialog.getByRole("button", { name: "Drain", exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    await page
      .getByText(
        /^Draining: new clients are refused until \w{3},? \d\d:\d\d, or until an operator resumes the channel\.$/,
      )
      .waitFor();
    await page.getByText("draining", { exact: true }).waitFor();
    await page.getByText("Reconnecting").waitFor();
    await stream.untilClosed();
    expect(stream.events.at(-1)).toMatchObject({ type: "close" });
    expect((await service.health("bystander")).status).toBe("healthy");
    expect(other.closed).toBe(false);

    const { page: onlooker } = await openPage(browser);
    await onlooker.goto(service.url);
    await onlooker.getByText("Draining: new clients are refused until the drain ends").waitFor();
    expect(await onlooker.getByRole("button", { name: "Resume" }).count()).toBe(0);

    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.getByText("healthy").waitFor();
    expect(await page.getByText("Draining").count()).toBe(0);
  });

  it("shows health and clients", async () => {
    const { page } = await openConsole("?channel=health");
    await page.getByText("healthy").waitFor();
    await page.getByText("1 / 100").waitFor();
    expect(await page.locator("footer").innerText()).toMatch(/^edge-sse \d+\.\d+\.\d+/);
    await service.admin("/api/admin/drain?channel=health", { method: "POST" });
    await page.getByText("draining", { exact: true }).waitFor();
    await page.getByText("Reconnecting").waitFor();
    await service.admin("/api/admin/resume?channel=health", { method: "POST" });
    await page.getByText("Connected", { exact: true }).waitFor();
  });

  it("works in a browser whose language is not a language tag", async () => {
    const watched = await openPage(browser);
    opened.push(watched);
    await watched.page.addInitScript(
      "Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix', configurable: true })",
    );
    await watched.page.goto(service.url);
    await watched.page.getByText("Connected", { exact: true }).waitFor();
    expect(await watched.page.locator("#chart canvas").count()).toBe(1);
  });

  it("reports an invalid channel name, and does not request its health again", async () => {
    const watched = await openPage(browser);
    let requests = 0;
    watched.page.on("request", (request) => (requests += request.url().includes("/health") ? 1 : 0));
    await watched.page.clock.install();
    await watched.page.goto(`${service.url}/?channel=No%20Name`);
    await watched.page.getByText(/^channel: Expected a name/).waitFor();
    await watched.page.getByText("refused", { exact: true }).waitFor();
    const before = requests;
    await watched.page.clock.runFor(20_000);
    expect(requests).toBe(before);

    await watched.page.getByLabel("Channel").fill("named");
    await watched.page.keyboard.press("Enter");
    await watched.page.getByText("healthy").waitFor();
    await watched.page.getByText("Connected", { exact: true }).waitFor();
    await watched.context.close();
  });

  it("fits a phone of 360 px", async () => {
    const { page } = await openConsole("?channel=recent", { width: 360, height: 740 });
    await page.locator(".event").first().waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
  });

  it("runs no injected script, and loads nothing from another origin", async () => {
    const { page, complaints } = await openConsole("?channel=policy");
    await page.evaluate(`
      const inline = document.createElement("script");
      try { inline.textContent = "window.broken = 1"; } catch {}
      document.body.append(inline);
      const image = new Image();
      image.src = "data:image/png;base64,AAAA";
      try { document.body.insertAdjacentHTML("beforeend", "<p onclick='window.broken = 1' id='trap'>x</p>"); } catch {}
      document.getElementById("trap")?.click();
    `);
    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(complaints.length).toBeGreaterThan(0);
    complaints.length = 0;
    const policy = (await service.fetch("/")).headers.get("Content-Security-Policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
  });
});
