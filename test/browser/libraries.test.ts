import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";

import { useBrowserService } from "../support/browser-service.ts";
import { until } from "../support/until.ts";

/** The real libraries from npm, as scripts of a page. */
const scripts: Record<string, string> = {};

beforeAll(async () => {
  const turbo = fileURLToPath(import.meta.resolve("@hotwired/turbo"));
  scripts["turbo"] = await readFile(turbo.replace("-umd.js", "-esm.js"), "utf8");
  const datastar = fileURLToPath(import.meta.resolve("@starfederation/datastar/dist/bundles/datastar.js"));
  const { outputFiles } = await build({
    entryPoints: [datastar],
    // The package imports its own files by this name, and leaves it to a bundler.
    alias: { "~": fileURLToPath(new URL("..", `file://${datastar}`)).replace(/\/$/, "") },
    bundle: true,
    format: "esm",
    write: false,
  });
  scripts["datastar"] = outputFiles[0]?.text ?? "";
});

const started = useBrowserService({ sse: { retry_after_seconds: 1 } });

/** A page of the service's own origin with one of the libraries. */
async function openWith(library: string, body: string): Promise<Page> {
  const page = await started.context.newPage();
  const { url } = started.service;
  await page.route(`${url}/${library}.js`, (route) =>
    route.fulfill({ contentType: "text/javascript", body: scripts[library] ?? "" }),
  );
  await page.route(`${url}/test-page`, (route) =>
    route.fulfill({
      contentType: "text/html; charset=utf-8",
      body: `<!doctype html><title>${library}</title><script type="module" src="/${library}.js"></script>${body}`,
    }),
  );
  await page.goto(`${url}/test-page`);
  await untilConnected();
  return page;
}

async function untilConnected(): Promise<void> {
  await until(async () => (await started.service.health()).sse.active_connections === 1, {
    what: "the stream of the page",
    timeoutMs: 20_000,
    everyMs: 50,
  });
}

/** The items of the list, once there are this many. */
async function items(page: Page, count: number): Promise<string[]> {
  const list = page.locator("#list li");
  await until(async () => (await list.count()) >= count, {
    what: `${count} items in the list`,
    timeoutMs: 30_000,
  });
  return list.allInnerTexts();
}

/** Publishes with the calls that a person would make with curl. */
async function publish(event: Readonly<Record<string, unknown>>): Promise<void> {
  const answer = await started.service.post(JSON.stringify(event));
  expect(answer.status).toBe(200);
}

async function publishWhileDown(work: () => Promise<void>): Promise<void> {
  await started.service.kill();
  await started.restart();
  await work();
}

/** A Turbo Stream that adds an item to the list. */
function append(item: string): string {
  return `<turbo-stream action="append" target="list">\n<template>\n<li>${item}</li>\n</template>\n</turbo-stream>`;
}

/** A Datastar event that adds an item to the list. */
function merge(item: string): Readonly<Record<string, unknown>> {
  return {
    type: "datastar-merge-fragments",
    text: `selector #list\nmergeMode append\nfragments <li>\nfragments   ${item}\nfragments </li>`,
  };
}

describe("Turbo", () => {
  it.each([
    ["a native stream", "/api/events?on_busy=stream"],
    ["a bare stream of untyped events", "/api/events?bare=1&types=message&on_busy=stream"],
  ])(
    "changes a page by a published Turbo Stream, also after the service was killed: %s",
    async (_what, src) => {
      const page = await openWith(
        "turbo",
        `<turbo-stream-source src="${src}"></turbo-stream-source><ul id="list"></ul>`,
      );
      await publish({ type: "other", data: { hidden: true } });
      await publish({ text: append("one") });
      await publish({ text: append("two") });
      expect(await items(page, 2)).toEqual(["one", "two"]);
      await publishWhileDown(() => publish({ text: append("three") }));
      expect(await items(page, 3)).toEqual(["one", "two", "three"]);
      await publish({ text: append("four") });
      expect(await items(page, 4)).toEqual(["one", "two", "three", "four"]);
    },
  );
});

describe("Datastar", () => {
  it("changes a page by published patches, also after the service was killed", async () => {
    const page = await openWith(
      "datastar",
      `<main data-signals-mood="'calm'" data-on-load="sse('/api/events?on_busy=stream')">
        <ul id="list"></ul><p id="mood" data-text="mood.value"></p>
      </main>`,
    );
    await publish({ type: "other", data: { hidden: true } });
    await publish(merge("one"));
    await publish({ type: "datastar-merge-signals", text: "signals {mood: 'busy'}" });
    expect(await items(page, 1)).toEqual(["one"]);
    await page.locator("#mood", { hasText: "busy" }).waitFor({ timeout: 20_000 });
    await publishWhileDown(() => publish(merge("two")));
    expect(await items(page, 2)).toEqual(["one", "two"]);
    await publish(merge("three"));
    expect(await items(page, 3)).toEqual(["one", "two", "three"]);
  });
});
