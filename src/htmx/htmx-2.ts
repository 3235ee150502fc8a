import { ClientEventSource } from "./client-event-source.ts";
import { connections, listeningElements, strays, targetOf } from "./page.ts";

/** The part of HTMX 2 that is used here. */
export interface Htmx2 {
  readonly version: string;
  readonly config: { readonly defaultSwapStyle: string };
  /** Where the SSE extension gets its sources from. There as soon as the extension is. */
  createEventSource?: (url: string) => EventTarget;
  trigger(element: Element, event: string): void;
  swap(
    target: Element,
    content: string,
    how: { swapStyle: string; swapDelay: number; settleDelay: number },
  ): void;
}

/** What HTMX 2 and the extension keep with an element. */
type Processed = Element & {
  readonly "htmx-internal-data"?: { readonly sseEventSource?: { close(): void } };
};

/**
 * Puts `SSEClient` below the SSE extension of HTMX 2, by the seam that the extension has for this. The extension makes a
 * new `EventSource` when one has died, and that forgets the last id; its delays have no jitter, and it never learns what
 * a 503 says about when to come back.
 *
 * @returns whether the extension is there already
 */
export function adaptHtmx2(htmx: Htmx2): boolean {
  const isExtended = htmx.createEventSource !== undefined;
  htmx.createEventSource = (url) => {
    const source = new ClientEventSource(url);
    source.onPublished = (type, content) => {
      if (sourceOf(connections()[0]) === source) {
        strays(type).forEach((element) => swapIn(htmx, element, content));
      }
    };
    return source;
  };
  return isExtended;
}

/**
 * Shows the extension what HTMX has processed before the extension was there, and takes the place of the sources that
 * the extension has opened before this was there: in a page into which the partial was swapped.
 */
export function reviveHtmx2(htmx: Htmx2): void {
  for (const connection of connections().filter((element) => !isSettling(element))) {
    const source = sourceOf(connection);
    if (!(source instanceof ClientEventSource)) {
      source?.close();
      for (const element of [connection, ...listeningElements(connection)]) {
        htmx.trigger(element, "htmx:afterProcessNode");
      }
    }
  }
}

/**
 * Whether HTMX has swapped an element in and has not processed it yet. It will show the element to the extension itself:
 * if this did so too, the element would get two sources, and the first one would never be closed.
 */
function isSettling(element: Element): boolean {
  return element.closest(".htmx-added") !== null;
}

function sourceOf(element: Processed | undefined): { close(): void } | undefined {
  return element?.["htmx-internal-data"]?.sseEventSource;
}

function swapIn(htmx: Htmx2, element: Element, content: string): void {
  const swapStyle = element.getAttribute("hx-swap")?.split(" ")[0] ?? htmx.config.defaultSwapStyle;
  htmx.swap(targetOf(element), content, { swapStyle, swapDelay: 0, settleDelay: 20 });
}
