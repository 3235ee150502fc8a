import { toContent } from "./content.ts";
import { connectionOf, connections, strays, swapElements, swaps, targetOf, urlOf } from "./page.ts";

/** The part of HTMX 4 that is used here. */
export interface Htmx4 {
  readonly version: string;
  swap(context: { text: string; target: Element; sourceElement: Element; swap?: string }): Promise<void>;
  ajax(verb: string, path: string, options: { source: Element }): Promise<void>;
  process(element: Element): void;
}

interface Received {
  readonly message: { data: string; readonly event: string };
  /** The next message comes when this has settled. */
  waitUntil(work: Promise<unknown>): void;
}

interface Requested {
  readonly ctx: { readonly response?: { readonly status: number; readonly raw: Response } };
}

/** Delays before a first connect is tried again: those that the extension has for later ones. */
const RETRY = { firstMs: 500, mostMs: 60_000, jitter: 0.3 } as const;

/**
 * Gives back what HTMX 4 has dropped, `sse-swap`, and what its SSE extension lacks: it keeps the last id and backs off
 * with jitter, but only once a first stream has opened.
 */
export function adaptHtmx4(htmx: Htmx4): void {
  const attempts = new WeakMap<Element, number>();

  on<Received>("htmx:sse:before:message", (connection, detail) => {
    const { message } = detail;
    message.data = toContent(parse(message.data));
    for (const element of wanting(message.event, connection)) {
      detail.waitUntil(swapIn(htmx, element, message.data));
    }
  });

  on("htmx:sse:after:connection", (connection) => void attempts.delete(connection));

  on<Requested>("htmx:before:response", (element, { ctx }, event) => {
    // A refusal is not to be swapped in where the events go.
    if (urlOf(element) !== null && !isStream(ctx.response?.raw)) {
      event.preventDefault();
    }
  });

  on<Requested>("htmx:finally:request", (element, { ctx }) => {
    const url = urlOf(element);
    if (url === null || isStream(ctx.response?.raw) || isFinal(ctx.response?.status)) {
      return;
    }
    const attempt = attempts.get(element) ?? 0;
    attempts.set(element, attempt + 1);
    setTimeout(() => {
      if (element.isConnected) {
        void htmx.ajax("GET", url, { source: element });
      }
    }, delayMs(attempt));
  });
}

/** Names under which the extension goes on with an `sse-connect` that it has seen. */
const SEEN = ["hx-sse:connect", "data-hx-sse:connect"];

/** Shows the extension what HTMX has processed before the extension was there. */
export function reviveHtmx4(htmx: Htmx4): void {
  for (const element of connections()) {
    if (!SEEN.some((name) => element.hasAttribute(name))) {
      htmx.process(element);
    }
  }
}

function wanting(type: string, connection: Element): Element[] {
  const own = [connection, ...swapElements(connection)].filter(
    (element) => swaps(element, type) && connectionOf(element) === connection,
  );
  return connections()[0] === connection ? [...own, ...strays(type)] : own;
}

function on<Detail>(name: string, act: (element: Element, detail: Detail, event: Event) => void): void {
  document.addEventListener(name, (event) => {
    if (event.target instanceof Element) {
      act(event.target, (event as CustomEvent<Detail>).detail, event);
    }
  });
}

function swapIn(htmx: Htmx4, element: Element, text: string): Promise<void> {
  const swap = element.getAttribute("hx-swap");
  return htmx.swap({
    text,
    target: targetOf(element),
    sourceElement: element,
    ...(swap !== null && { swap }),
  });
}

function isStream(response: Response | undefined): boolean {
  return (
    response?.ok === true && response.headers.get("Content-Type")?.includes("text/event-stream") === true
  );
}

/** A refusal that trying again does not change. */
function isFinal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function delayMs(attempt: number): number {
  const delay = Math.min(RETRY.firstMs * 2 ** attempt, RETRY.mostMs);
  return delay * (1 - RETRY.jitter + 2 * RETRY.jitter * Math.random());
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
