import type { Environment, Locks, Page, TabLine } from "../../src/client/environment.ts";
import { encodeFrame, type Frame } from "../../src/sse/encode.ts";

/** Numbers from 0 to 1 that are the same for the same seed. (mulberry32) */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lets everything that is ready have its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Time that passes only when told to. */
class FakeClock {
  /** Of the timers, in milliseconds from the start. */
  time = 0;
  /** The wall clock at that start. Set it to make the clock jump. */
  epoch = Date.parse("2026-11-22T12:00:00Z");
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.epoch + this.time;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + Math.max(0, ms), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs every timer of the next `ms`, in order, each with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).toSorted((one, other) => one.at - other.at);
      if (next === undefined) {
        break;
      }
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.callback();
      await settle();
    }
    this.time = end;
  }
}

/** A page that is hidden, shown, left and cut off by hand. */
class FakePage implements Page {
  hidden = false;
  online = true;
  readonly #listeners = new Map<string, Set<() => void>>();

  isHidden(): boolean {
    return this.hidden;
  }

  isOnline(): boolean {
    return this.online;
  }

  listen(type: string, callback: () => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(callback));
    return () => void listeners.delete(callback);
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((count, listeners) => count + listeners.size, 0);
  }

  fire(type: string): void {
    for (const callback of this.#listeners.get(type) ?? []) {
      callback();
    }
  }

  setHidden(hidden: boolean): void {
    this.hidden = hidden;
    this.fire("visibilitychange");
  }

  setOnline(online: boolean): void {
    this.online = online;
    this.fire(online ? "online" : "offline");
  }
}

/** One request of a client, and the hand of the server in it. */
export class Exchange {
  readonly url: URL;
  readonly headers: Headers;
  readonly init: RequestInit;
  /** When it was made, in milliseconds from the start. */
  readonly at: number;
  readonly response: Promise<Response>;
  isAborted = false;
  readonly #respond: (response: Response) => void;
  readonly #reject: (error: unknown) => void;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string, init: RequestInit, at: number, obeysSignal: boolean) {
    this.url = new URL(url);
    this.headers = new Headers(init.headers);
    this.init = init;
    this.at = at;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#respond = resolve;
    this.#reject = reject;
    init.signal?.addEventListener("abort", () => {
      this.isAborted = true;
      if (obeysSignal) {
        const error = new DOMException("This operation was aborted", "AbortError");
        reject(error);
        this.#fail(error);
      }
    });
  }

  get query(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams);
  }

  /** No connection. */
  refuse(): void {
    this.#reject(new TypeError("fetch failed"));
  }

  answer(
    status: number,
    headers: Record<string, string> = {},
    body: string | ReadableStream | null = null,
  ): void {
    this.#respond(new Response(body, { status, headers }));
  }

  problem(status: number, code: string, headers: Record<string, string> = {}): void {
    this.answer(
      status,
      { "Content-Type": "application/problem+json", ...headers },
      JSON.stringify({
        type: `urn:edge-sse:problem:${code}`,
        title: code,
        status,
        detail: `About ${code}.`,
        code,
      }),
    );
  }

  /** 200 and the headers of a stream; nothing of its body. */
  accept(headers: Record<string, string> = {}): this {
    if (this.#body !== undefined) {
      return this;
    }
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#body = controller;
      },
    });
    this.answer(200, { "Content-Type": "text/event-stream; charset=utf-8", ...headers }, body);
    return this;
  }

  /** The stream opens, as the service would open it. */
  open({ at = "41", log = "log-a", heartbeatSeconds = 30, gap = false } = {}): this {
    this.accept();
    const data = {
      client_id: "c",
      channel: "default",
      last_event_id: at,
      log,
      heartbeat_interval_seconds: heartbeatSeconds,
    };
    return this.frame({
      retry: 5_000,
      event: "connected",
      data: JSON.stringify(data),
      ...(!gap && { id: at }),
    });
  }

  frame(frame: Frame): this {
    return this.bytes(encodeFrame(frame));
  }

  event(id: number, type = "tick", data: unknown = { n: id }): this {
    return this.frame({ event: type, id, data: JSON.stringify(data) });
  }

  heartbeat(): this {
    return this.bytes(": heartbeat\n\n");
  }

  close(reason: string, retryAfterMs: number): this {
    return this.frame({
      retry: retryAfterMs,
      event: "close",
      data: JSON.stringify({ reason, retry_after_ms: retryAfterMs }),
    });
  }

  bytes(bytes: string | Uint8Array): this {
    this.#body?.enqueue(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    return this;
  }

  end(): void {
    this.#body?.close();
    this.#body = undefined;
  }

  /** The connection is cut after the sent bytes have arrived. */
  cut(): void {
    setImmediate(() => this.#fail(new TypeError("terminated")));
  }

  #fail(error: unknown): void {
    try {
      this.#body?.error(error);
    } catch {
      // It was cancelled before.
    }
    this.#body = undefined;
  }
}

/** Everything around a client that is not the client. */
export class ClientWorld {
  readonly clock = new FakeClock();
  readonly page = new FakePage();
  readonly exchanges: Exchange[] = [];
  /** What listeners threw. */
  readonly reported: unknown[] = [];
  /** Called with each request: for servers that always do the same. */
  onRequest: ((exchange: Exchange) => void) | undefined;
  obeysSignal = true;
  readonly environment: Environment;

  constructor(seed = 1) {
    this.environment = {
      fetch: (url, init) => this.fetch(url, init),
      now: () => this.clock.now(),
      after: (ms, callback) => this.clock.after(ms, callback),
      random: seededRandom(seed),
      report: (error) => void this.reported.push(error),
      baseUrl: "https://app.example/board/",
      page: this.page,
      tabs: undefined,
    };
  }

  fetch(url: string, init: RequestInit): Promise<Response> {
    const exchange = new Exchange(url, init, this.clock.time, this.obeysSignal);
    this.exchanges.push(exchange);
    this.onRequest?.(exchange);
    return exchange.response;
  }

  /** The newest request. */
  get last(): Exchange {
    const exchange = this.exchanges.at(-1);
    if (exchange === undefined) {
      throw new Error("There was no request.");
    }
    return exchange;
  }

  /** Milliseconds between the requests. */
  get pauses(): number[] {
    return this.exchanges.slice(1).map(({ at }, index) => at - (this.exchanges[index]?.at ?? 0));
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Advances until there is one more request, and answers it. */
  async nextRequest(withinMs = 120_000): Promise<Exchange> {
    const count = this.exchanges.length;
    const end = this.clock.time + withinMs;
    await settle();
    while (this.exchanges.length === count) {
      if (this.clock.time >= end) {
        throw new Error(`No request came within ${withinMs} ms.`);
      }
      await this.advance(Math.min(25, end - this.clock.time));
    }
    return this.last;
  }
}

/** The tabs of one browser. They share their broadcast channels and their locks. */
export class FakeBrowser {
  readonly clock = new FakeClock();
  readonly tabs: FakeTab[] = [];
  readonly lines = new Map<string, Set<{ tab: FakeTab; hear: (word: unknown) => void }>>();
  readonly locks = new FakeLocks();

  openTab(): FakeTab {
    const tab = new FakeTab(this, this.tabs.length + 1);
    this.tabs.push(tab);
    return tab;
  }

  /** The requests of all tabs whose streams are still wanted. */
  get openExchanges(): Exchange[] {
    return this.tabs.flatMap(({ exchanges }) => exchanges).filter(({ isAborted }) => !isAborted);
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }
}

export class FakeTab {
  readonly exchanges: Exchange[] = [];
  readonly page = new FakePage();
  readonly environment: Environment;
  readonly browser: FakeBrowser;
  /** A frozen tab hears nothing and does nothing; it keeps its lock. */
  isFrozen = false;

  constructor(browser: FakeBrowser, seed: number) {
    this.browser = browser;
    this.environment = {
      fetch: (url, init) => {
        const exchange = new Exchange(url, init, browser.clock.time, true);
        this.exchanges.push(exchange);
        return exchange.response;
      },
      now: () => browser.clock.now(),
      after: (ms, callback) => browser.clock.after(ms, () => this.isFrozen || callback()),
      random: seededRandom(seed),
      report: (error) => {
        throw error;
      },
      baseUrl: "https://app.example/",
      page: this.page,
      tabs: { locks: browser.locks.of(this), open: (name, hear) => this.#openLine(name, hear) },
    };
  }

  get last(): Exchange {
    const exchange = this.exchanges.at(-1);
    if (exchange === undefined) {
      throw new Error("There was no request.");
    }
    return exchange;
  }

  /** The tab is gone from one moment to the next. */
  crash(): void {
    this.isFrozen = true;
    for (const line of this.browser.lines.values()) {
      for (const end of line) {
        if (end.tab === this) {
          line.delete(end);
        }
      }
    }
    this.browser.locks.releaseAll(this);
  }

  #openLine(name: string, hear: (word: unknown) => void): TabLine {
    const line = this.browser.lines.get(name) ?? new Set();
    this.browser.lines.set(name, line);
    const end = { tab: this, hear };
    line.add(end);
    return {
      say: (word) => {
        for (const other of line) {
          if (other !== end) {
            const copy: unknown = structuredClone(word);
            setImmediate(() => {
              if (line.has(other) && !other.tab.isFrozen) {
                other.hear(copy);
              }
            });
          }
        }
      },
      close: () => void line.delete(end),
    };
  }
}

interface LockRequest {
  readonly tab: FakeTab;
  readonly hold: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class FakeLocks {
  readonly #held = new Map<string, LockRequest>();
  readonly #queues = new Map<string, LockRequest[]>();

  of(tab: FakeTab): Locks {
    return {
      request: (name, options, hold) =>
        new Promise((resolve, reject) => {
          const request = { tab, hold, resolve: () => resolve(undefined), reject };
          const queue = this.#queues.get(name) ?? [];
          this.#queues.set(name, queue);
          if ("steal" in options) {
            this.#held.get(name)?.reject(abortError());
            this.#grant(name, request);
          } else {
            queue.push(request);
            options.signal.addEventListener("abort", () => {
              const index = queue.indexOf(request);
              if (index >= 0) {
                queue.splice(index, 1);
                reject(abortError());
              }
            });
            this.#next(name);
          }
        }),
    };
  }

  releaseAll(tab: FakeTab): void {
    for (const [name, queue] of this.#queues) {
      this.#queues.set(
        name,
        queue.filter((request) => request.tab !== tab),
      );
    }
    for (const [name, request] of this.#held) {
      if (request.tab === tab) {
        this.#held.delete(name);
        this.#next(name);
      }
    }
  }

  #next(name: string): void {
    if (!this.#held.has(name)) {
      const request = this.#queues.get(name)?.shift();
      if (request !== undefined) {
        this.#grant(name, request);
      }
    }
  }

  async #hold(name: string, request: LockRequest): Promise<void> {
    await request.hold();
    if (this.#held.get(name) === request) {
      this.#held.delete(name);
      request.resolve();
      this.#next(name);
    }
  }

  #grant(name: string, request: LockRequest): void {
    this.#held.set(name, request);
    setImmediate(() => {
      void this.#hold(name, request);
    });
  }
}

function abortError(): DOMException {
  return new DOMException("The lock was taken or the request withdrawn.", "AbortError");
}
