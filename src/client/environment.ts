import type { FetchLike } from "./request-types.ts";

/** The runtime, passed in so that tests control time, randomness and the network. */
export interface Environment {
  readonly fetch: FetchLike;
  /** Milliseconds since the epoch. This clock may jump, so deadlines use `after` instead. */
  now(): number;
  /** Calls back once after a delay. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void;
  /** At least 0, less than 1. */
  random(): number;
  /** Reports an error that a listener threw. */
  report(error: unknown): void;
  /** The base of relative URLs. Undefined where there is no page. */
  readonly baseUrl: string | undefined;
  readonly page: Page;
  /** Undefined if the runtime lacks Web Locks or BroadcastChannel. */
  readonly tabs: Tabs | undefined;
}

/** The state of the page. Without a page it is always visible, and online unless the runtime says otherwise. */
export interface Page {
  isHidden(): boolean;
  isOnline(): boolean;
  /** Returns a function that removes the listener. */
  listen(
    type: "visibilitychange" | "pagehide" | "pageshow" | "online" | "offline",
    callback: () => void,
  ): () => void;
}

/** What connects the tabs of one origin. */
export interface Tabs {
  readonly locks: Locks;
  /** Joins the channel of this name. Each tab hears what the others say, and not what it says itself. */
  open(name: string, hear: (word: unknown) => void): TabLine;
}

/** The part of the Web Locks API that is used. */
export interface Locks {
  request(
    name: string,
    options: { steal: true } | { signal: AbortSignal },
    hold: () => Promise<void>,
  ): Promise<unknown>;
}

export interface TabLine {
  say(word: unknown): void;
  close(): void;
}

interface Target {
  addEventListener?(type: string, callback: () => void): void;
  removeEventListener?(type: string, callback: () => void): void;
}

/** The globals that some runtimes have and some do not. */
interface Scope extends Target {
  document?: Target & { readonly hidden?: boolean; readonly baseURI?: string };
  location?: { readonly href: string };
  navigator?: { readonly onLine?: boolean; readonly locks?: Locks };
  BroadcastChannel?: new (name: string) => {
    addEventListener(type: "message", callback: (event: { readonly data: unknown }) => void): void;
    postMessage(word: unknown): void;
    close(): void;
  };
  reportError?(error: unknown): void;
}

/** The environment of a page, a worker, Node or Deno. */
export function platform(): Environment {
  const scope = globalThis as unknown as Scope;
  return {
    fetch: (url, init) => fetch(url, init),
    now: () => Date.now(),
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    report: (error) => {
      if (scope.reportError !== undefined) {
        scope.reportError(error);
      } else {
        queueMicrotask(() => {
          throw error;
        });
      }
    },
    baseUrl: scope.document?.baseURI ?? scope.location?.href,
    page: pageOf(scope),
    tabs: tabsOf(scope),
  };
}

function pageOf(scope: Scope): Page {
  return {
    isHidden: () => scope.document?.hidden === true,
    isOnline: () => scope.navigator?.onLine !== false,
    listen: (type, callback) => {
      const target: Target | undefined = type === "visibilitychange" ? scope.document : scope;
      target?.addEventListener?.(type, callback);
      return () => target?.removeEventListener?.(type, callback);
    },
  };
}

function tabsOf({ navigator, BroadcastChannel }: Scope): Tabs | undefined {
  const locks = navigator?.locks;
  if (locks === undefined || BroadcastChannel === undefined) {
    return undefined;
  }
  return {
    locks,
    open: (name, hear) => {
      const line = new BroadcastChannel(name);
      line.addEventListener("message", ({ data }) => hear(data));
      return {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel takes none
        say: (word) => line.postMessage(word),
        close: () => line.close(),
      };
    },
  };
}
