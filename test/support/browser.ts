import { existsSync } from "node:fs";

import {
  chromium as playwright,
  type Browser,
  type BrowserContext,
  type Clock,
  type Page,
} from "playwright-core";

/** A Chromium that is installed, if there is one. */
const INSTALLED = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Not the arguments that the package suggests: with a single process, the first page that closes ends the browser. */
const ARGS = ["--no-sandbox", "--disable-gpu"];

/** Chromium: an installed one, else the one that comes from npm. */
export async function launchBrowser(): Promise<Browser> {
  const installed = INSTALLED.find((path) => path !== undefined && existsSync(path));
  if (installed !== undefined) {
    return playwright.launch({ executablePath: installed, args: ARGS });
  }
  // Makes the package unpack the system libraries that it brings: it looks at this when it is loaded.
  process.env["AWS_LAMBDA_JS_RUNTIME"] ??= "nodejs22.x";
  const { default: chromium } = await import("@sparticuz/chromium");
  return playwright.launch({ executablePath: await chromium.executablePath(), args: ARGS });
}

/** Stops the clock of a context: the timers of its pages fire only when the test moves it. */
export async function freezeClock({ clock }: BrowserContext): Promise<Clock> {
  await clock.install({ time: 0 });
  await clock.pauseAt(1_000);
  return clock;
}

/** A page, and the errors that it reported. */
export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the console, uncaught exceptions, and violations of the content security policy. */
  readonly complaints: string[];
}

export async function openPage(browser: Browser, size = { width: 1280, height: 900 }): Promise<WatchedPage> {
  const context = await browser.newContext({ locale: "en-US", viewport: size });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (line) => {
    if (line.type() === "error") {
      complaints.push(line.text());
    }
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { page, context, complaints };
}

/** A page of the service's own origin that is not one of its files. */
export async function openHtml(browser: Browser, url: string, html: string): Promise<WatchedPage> {
  const watched = await openPage(browser);
  await watched.page.route(`${url}/test-page`, (route) =>
    route.fulfill({ contentType: "text/html; charset=utf-8", body: html }),
  );
  await watched.page.goto(`${url}/test-page`);
  return watched;
}
