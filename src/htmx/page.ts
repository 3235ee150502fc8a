/** What a page says with attributes, in the words of either HTMX. */

const CONNECT = ["sse-connect", "data-sse-connect", "hx-sse:connect", "data-hx-sse:connect"] as const;

const CONNECT_SELECTOR = CONNECT.map((name) => `[${CSS.escape(name)}]`).join(",");

const SWAP_SELECTOR = "[sse-swap], [data-sse-swap]";

/** The URL that an element connects to; null if it is no connection. */
export function urlOf(element: Element): string | null {
  return CONNECT.map((name) => element.getAttribute(name)).find((url) => url !== null) ?? null;
}

export function connections(): Element[] {
  return [...document.querySelectorAll(CONNECT_SELECTOR)];
}

export function connectionOf(element: Element): Element | null {
  return element.closest(CONNECT_SELECTOR);
}

export function swapElements(root: ParentNode = document): Element[] {
  return [...root.querySelectorAll(SWAP_SELECTOR)];
}

/** Elements that get events from this connection, and not from one inside of it. */
export function listeningElements(connection: Element): Element[] {
  return [
    ...connection.querySelectorAll(`${SWAP_SELECTOR}, [hx-trigger*="sse:"], [data-hx-trigger*="sse:"]`),
  ].filter((element) => connectionOf(element) === connection);
}

/** Elements outside of every connection that want events of a type: they belong to the first one of the page. */
export function strays(type: string): Element[] {
  return swapElements().filter((element) => swaps(element, type) && connectionOf(element) === null);
}

/** Whether an element wants events of a type: `sse-swap` is a comma list. */
export function swaps(element: Element, type: string): boolean {
  const names = element.getAttribute("sse-swap") ?? element.getAttribute("data-sse-swap") ?? "";
  return names.split(",").some((name) => name.trim() === type);
}

/** Where an element wants its content. */
export function targetOf(element: Element): Element {
  const wanted = element.getAttribute("hx-target");
  return wanted === null || wanted === "this" ? element : (document.querySelector(wanted) ?? element);
}
