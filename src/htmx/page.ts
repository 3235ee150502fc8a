/** The attributes of a page, as HTMX 2 and HTMX 4 spell them. */

const CONNECT = ["sse-connect", "data-sse-connect", "hx-sse:connect", "data-hx-sse:connect"] as const;

const CONNECT_SELECTOR = CONNECT.map((name) => `[${CSS.escape(name)}]`).join(",");

const SWAP_SELECTOR = "[sse-swap], [data-sse-swap]";

const TRIGGER_SELECTOR = '[hx-trigger*="sse:"], [data-hx-trigger*="sse:"]';

/** The URL that an element connects to, or null if the element opens no connection. */
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

/** The elements that get events from this connection. A connection inside of it has elements of its own. */
export function listeningElements(connection: Element): Element[] {
  return [...connection.querySelectorAll(`${SWAP_SELECTOR}, ${TRIGGER_SELECTOR}`)].filter(
    (element) => connectionOf(element) === connection,
  );
}

/** The elements outside of every connection that show this type. The first connection of the page feeds them. */
export function strays(type: string): Element[] {
  return swapElements().filter((element) => swaps(element, type) && connectionOf(element) === null);
}

export function swaps(element: Element, type: string): boolean {
  return swapTypes(element).includes(type);
}

/** Every event type that an element of the page asks for, to swap it in or as a trigger. */
export function wantedTypes(): Set<string> {
  const triggers = [...document.querySelectorAll(TRIGGER_SELECTOR)].flatMap((element) =>
    [...attribute(element, "hx-trigger").matchAll(/\bsse:([\w.:-]+)/g)].map(([, type = ""]) => type),
  );
  return new Set([...swapElements().flatMap(swapTypes), ...triggers]);
}

/** The value of an attribute, with or without the prefix `data-`; empty if there is none. */
export function attribute(element: Element, name: string): string {
  return element.getAttribute(name) ?? element.getAttribute(`data-${name}`) ?? "";
}

/** The element that the content goes into. */
export function targetOf(element: Element): Element {
  const target = element.getAttribute("hx-target");
  return target === null || target === "this" ? element : (document.querySelector(target) ?? element);
}

function swapTypes(element: Element): string[] {
  return attribute(element, "sse-swap")
    .split(",")
    .map((type) => type.trim())
    .filter((type) => type !== "");
}
