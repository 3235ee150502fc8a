import { ClientEventSource } from "./client-event-source.ts";
import { toHtml, toText } from "./content.ts";
import {
  attribute,
  connectionOf,
  connections,
  listeningElements,
  strays,
  targetOf,
  wantedTypes,
} from "./page.ts";
import { PublishedEvent } from "./published-event.ts";

/** The part of HTMX 2 that is used here. */
export interface Htmx2 {
  readonly version: string;
  readonly config: { readonly defaultSwapStyle: string };
  /** The SSE extension gets its sources from here. The extension sets this when it is loaded. */
  createEventSource?: (url: string) => EventTarget;
  trigger(element: Element, event: string): void;
  swap(
    target: Element,
    content: string,
    how: { swapStyle: string; swapDelay: number; settleDelay: number },
  ): void;
}

/** An element with the data that HTMX 2 and its extension attach to it. */
type Processed = Element & {
  readonly "htmx-internal-data"?: { readonly sseEventSource?: { close(): void } };
};

/** The frames of the service itself. Their id is the cursor of the stream, not an id of their own. */
const SERVICE_TYPES = new Set(["connected", "gap", "error", "close"]);

/** The next source resumes after this id. Set while a source takes the place of another one. */
let resumeAfter: string | undefined;

/**
 * Makes the SSE extension of HTMX 2 use `SSEClient`, through the hook that the extension has for this. By itself the
 * extension opens a new `EventSource` after a fatal error, which forgets the last id. Its delays have no jitter, and it
 * cannot read the `Retry-After` of a 503.
 *
 * @returns whether the extension is already loaded
 */
export function adaptHtmx2(htmx: Htmx2): boolean {
  const isExtended = htmx.createEventSource !== undefined;
  htmx.createEventSource = (url) => {
    const source = new ClientEventSource(url, resumeAfter);
    source.onPublished = (type, data) => {
      if (sourceOf(connections()[0]) === source) {
        strays(type).forEach((element) => swapIn(htmx, element, data));
      }
    };
    return source;
  };
  document.addEventListener("htmx:sseBeforeMessage", (event) => beforeSwap(htmx, event), { capture: true });
  return isExtended;
}

/**
 * Connects the elements that HTMX processed before the extension was loaded, and takes over from sources that the
 * extension opened before this module was loaded. Both happen when the partial is swapped into a page.
 */
export function reviveHtmx2(htmx: Htmx2): void {
  for (const connection of connections().filter((element) => !isSettling(element))) {
    const source = sourceOf(connection);
    if (source instanceof EventSource) {
      takeOver(htmx, connection, source);
    } else if (source === undefined) {
      start(htmx, connection);
    }
  }
}

/**
 * Whether HTMX has inserted an element that it has not processed yet. HTMX will pass the element to the extension. If
 * this module did so too, the element would get a second source, and the first one would never be closed.
 */
function isSettling(element: Element): boolean {
  return element.closest(".htmx-added") !== null;
}

function start(htmx: Htmx2, connection: Element): void {
  for (const element of [connection, ...listeningElements(connection)]) {
    htmx.trigger(element, "htmx:afterProcessNode");
  }
}

/**
 * Replaces an `EventSource` by a `ClientEventSource`, without a lost or doubled event. An `EventSource` tells its last
 * id only with an event, so it stays until the next one.
 */
function takeOver(htmx: Htmx2, connection: Element, native: EventSource): void {
  const types = wantedTypes();
  for (const type of [...types, "connected"]) {
    native.addEventListener(type, (event) => replace(htmx, connection, native, event));
  }
  for (const type of types) {
    // The extension dispatches this for `hx-trigger`.
    document.addEventListener(`sse:${type}`, (event) => withhold(htmx, event), { capture: true });
  }
}

/** Keeps an event of an `EventSource` from an element, which gets the same event again from the new source. */
function withhold(htmx: Htmx2, announcement: Event): void {
  const { detail: event, target } = announcement as CustomEvent<unknown>;
  const native = event instanceof MessageEvent ? event.currentTarget : null;
  if (!(native instanceof EventSource) || !(event instanceof MessageEvent) || SERVICE_TYPES.has(event.type)) {
    return;
  }
  announcement.preventDefault();
  announcement.stopImmediatePropagation();
  const connection = target instanceof Element ? connectionOf(target) : null;
  if (connection !== null) {
    replace(htmx, connection, native, event);
  }
}

/** The new source asks for everything after the id before this event, because ids have no holes. */
function replace(htmx: Htmx2, connection: Element, native: EventSource, event: Event): void {
  if (!(event instanceof MessageEvent) || sourceOf(connection) !== native) {
    return;
  }
  const { lastEventId, type } = event as MessageEvent<string>;
  resumeAfter = SERVICE_TYPES.has(type) ? lastEventId : String(Number(lastEventId) - 1);
  native.close();
  start(htmx, connection);
  resumeAfter = undefined;
}

function sourceOf(element: Processed | undefined): { close(): void } | undefined {
  return element?.["htmx-internal-data"]?.sseEventSource;
}

/** The extension swaps in `data` of the event that it announces here. */
function beforeSwap(htmx: Htmx2, announcement: Event): void {
  const { detail: event, target } = announcement as CustomEvent<unknown>;
  if (!(event instanceof PublishedEvent)) {
    withhold(htmx, announcement);
  } else if (target instanceof Element) {
    // An inherited `hx-swap` does not count: HTMX may not inherit it, and text would then be parsed as HTML.
    event.show(content(swapStyleOf(target), event.published));
  }
}

function swapIn(htmx: Htmx2, element: Element, data: unknown): void {
  const swapStyle = swapStyleOf(element) || htmx.config.defaultSwapStyle;
  htmx.swap(targetOf(element), content(swapStyle, data), { swapStyle, swapDelay: 0, settleDelay: 20 });
}

function content(swapStyle: string, data: unknown): string {
  return swapStyle === "textContent" ? toText(data) : toHtml(data);
}

function swapStyleOf(element: Element): string {
  return attribute(element, "hx-swap").split(" ")[0] ?? "";
}
