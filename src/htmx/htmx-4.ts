import { toHtml, toScriptData } from "./content.ts";
import { connectionOf, connections, strays, swapElements, swaps, targetOf, urlOf } from "./page.ts";

/** The part of HTMX 4 that is used here. */
export interface Htmx4 {
  readonly version: string;
  swap(context: { text: string; target: Element; sourceElement: Element; swap?: string }): Promise<void>;
  ajax(verb: string, path: string, options: { source: Element }): Promise<void>;
  process(element: Element): void;
}

interface Received {
  readonly message: { data: string; event: string };
  /** Delays the next message until this has settled. */
  waitUntil(work: Promise<unknown>): void;
}

interface Requested {
  readonly ctx: { readonly response?: { readonly status: number; readonly raw: Response } };
}

/** The type by which an element asks for messages without one, as a browser names them. */
const UNTYPED = "message";

/** Delays before another attempt at the first connect. The extension uses the same ones for reconnects. */
const RETRY = { firstMs: 500, mostMs: 60_000, jitter: 0.3 } as const;

/**
 * Adds two things to the SSE extension of HTMX 4. The extension dispatches a named event as a DOM event and swaps
 * nothing in; this swaps it into the elements that ask for its type. And the extension retries with backoff and the
 * last id only after a first stream has opened; this retries the first connect too.
 */
export function adaptHtmx4(htmx: Htmx4): void {
  const attempts = new WeakMap<Element, number>();

  on<Received>("htmx:sse:before:message", (connection, detail) => {
    const { message } = detail;
    const data = parse(message.data);
    const elements = wanting(message.event || UNTYPED, connection);
    if (elements.length > 0) {
      // Otherwise the extension would replace the whole content of the connection by a message without a type.
      message.event ||= UNTYPED;
    }
    // The extension swaps in a message without a type, and hands any other to the scripts of the page.
    message.data = message.event === "" ? toHtml(data) : toScriptData(data);
    for (const element of elements) {
      detail.waitUntil(swapIn(htmx, element, toHtml(data)));
    }
  });

  on("htmx:sse:after:connection", (connection) => void attempts.delete(connection));

  on<Requested>("htmx:before:response", (element, { ctx }, event) => {
    // HTMX would swap the body of a refusal into the element.
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

/** An element with the data that HTMX 4 attaches to it. */
type Processed = Element & { readonly _htmx?: { readonly triggerSpecs?: readonly unknown[] } };

/** Connects the elements that HTMX processed before the extension was loaded. */
export function reviveHtmx4(htmx: Htmx4): void {
  connections()
    .filter((element) => !hasTrigger(element))
    .forEach((element) => htmx.process(element));
}

/** Whether the extension has seen a connection: it gives it a trigger, and a second one would connect twice. */
function hasTrigger(element: Processed): boolean {
  return (element["_htmx"]?.triggerSpecs?.length ?? 0) > 0;
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

/** Whether another attempt would be refused for the same reason. */
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
