import { ClientEventSource } from "./client-event-source.ts";
import { connections, strays, swapElements, targetOf, urlOf } from "./page.ts";

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
  readonly "htmx-internal-data"?: { readonly sseEventSource?: unknown; readonly sseEventListener?: unknown };
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
      if (isFirst(source.url)) {
        strays(type).forEach((element) => swapIn(htmx, element, content));
      }
    };
    return source;
  };
  return isExtended;
}

/** Shows the extension what HTMX has processed before the extension was there. */
export function reviveHtmx2(htmx: Htmx2): void {
  for (const element of connections() as Processed[]) {
    if (element["htmx-internal-data"]?.sseEventSource === undefined) {
      htmx.trigger(element, "htmx:afterProcessNode");
    }
  }
  for (const element of swapElements() as Processed[]) {
    if (element["htmx-internal-data"]?.sseEventListener === undefined) {
      htmx.trigger(element, "htmx:afterProcessNode");
    }
  }
}

function isFirst(url: string): boolean {
  const first = connections()[0];
  return first !== undefined && new URL(urlOf(first) ?? "", document.baseURI).href === url;
}

function swapIn(htmx: Htmx2, element: Element, content: string): void {
  const swapStyle = element.getAttribute("hx-swap")?.split(" ")[0] ?? htmx.config.defaultSwapStyle;
  htmx.swap(targetOf(element), content, { swapStyle, swapDelay: 0, settleDelay: 20 });
}
