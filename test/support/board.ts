import type { BrowserContext, Page } from "playwright-core";

import { until } from "./until.ts";

/** What happened in a page, with its time in milliseconds since the epoch: the clock of this process, too. */
export interface Seen {
  readonly events: readonly {
    readonly type: string;
    readonly id: string;
    readonly data: unknown;
    readonly at: number;
  }[];
  readonly states: readonly { readonly state: string; readonly at: number }[];
  readonly retries: readonly { readonly code: string; readonly delayMs: number; readonly at: number }[];
  readonly errors: readonly { readonly code: string; readonly status?: number; readonly final: boolean }[];
  readonly attempts: readonly {
    readonly at: number;
    readonly lastEventId: string | null;
    /** Of the answer; absent while there is none. */
    readonly status?: number;
    /** When the answer came, or when it turned out that none does. */
    readonly answeredAt?: number;
  }[];
}

/** A page with our client as the service serves it. The page records the events and states of the client. */
export interface Board {
  readonly page: Page;
  /** Errors of the console, and uncaught exceptions. */
  readonly complaints: readonly string[];
  seen(): Promise<Seen>;
  /** Waits until the record is as a test expects, and returns it. */
  until(what: string, isSo: (seen: Seen) => boolean, timeoutMs?: number): Promise<Seen>;
  /** Waits for the state `connected`, and for it to be the n-th time. */
  untilConnected(times?: number): Promise<Seen>;
  /** Waits for so many published events, and answers their ids. */
  ids(count: number): Promise<string[]>;
}

/** In the page: `open(options)` makes a client, connects it and writes down; `client` and `seen` are those of the board. */
const script = (options: string, service: string): string => `
  import { SSEClient } from "${service}/sse-client.js";
  const now = () => performance.timeOrigin + performance.now();
  const open = (options) => {
    const seen = { events: [], states: [], retries: [], errors: [], attempts: [] };
    const watchedFetch = async (url, init) => {
      const attempt = { at: now(), lastEventId: init.headers["Last-Event-ID"] ?? null };
      seen.attempts.push(attempt);
      try {
        const response = await fetch(url, init);
        attempt.status = response.status;
        return response;
      } finally {
        attempt.answeredAt = now();
      }
    };
    const client = new SSEClient({ fetch: watchedFetch, ...options });
    client.on("*", (data, { type, id }) => seen.events.push({ type, id, data, at: now() }));
    client.onStateChange((state) => seen.states.push({ state, at: now() }));
    client.onRetry(({ problem, delayMs }) => seen.retries.push({ code: problem.code, delayMs, at: now() }));
    client.onError(({ code, status, final }) => seen.errors.push({ code, status, final }));
    client.connect();
    return { client, seen };
  };
  Object.assign(globalThis, { open, ...open(${options}) });
`;

/**
 * @param options JavaScript of the client's options, which may be functions
 * @param service where the client comes from. The pages of another origin have to come from a server: Chromium lets none
 *   that a test has made up reach this machine.
 */
export async function openBoard(
  context: BrowserContext,
  origin: string,
  options = "{}",
  service = origin,
): Promise<Board> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (line) => {
    if (line.type() === "error") {
      complaints.push(line.text());
    }
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const content = script(options, service);
  if (service === origin) {
    await page.route(`${origin}/board`, (route) =>
      route.fulfill({
        contentType: "text/html; charset=utf-8",
        body: `<!doctype html><title>board</title><script type="module">${content}</script>`,
      }),
    );
  }
  await page.goto(`${origin}/board`);
  if (service !== origin) {
    await page.addScriptTag({ type: "module", content });
    await page.waitForFunction("globalThis.seen");
  }

  const board: Board = {
    page,
    complaints,
    seen: () => page.evaluate<Seen>("seen"),
    until: async (what, isSo, timeoutMs = 20_000) => {
      let seen: Seen | undefined;
      await until(async () => isSo((seen = await board.seen())), {
        what: () => `${what}; the page has seen ${JSON.stringify(seen)} and says ${complaints.join("; ")}`,
        timeoutMs,
        everyMs: 25,
      });
      return seen ?? board.seen();
    },
    untilConnected: (times = 1) =>
      board.until(
        `connected ${times} times`,
        ({ states }) => states.filter(({ state }) => state === "connected").length >= times,
      ),
    ids: async (count) => {
      const { events } = await board.until(`${count} events`, (seen) => seen.events.length >= count);
      return events.map(({ id }) => id);
    },
  };
  return board;
}
