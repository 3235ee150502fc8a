/**
 * `/htmx-sse.js`: connects a page with HTMX 2 or 4 to edge-sse. It loads the SSE extension if the page does not have
 * it. A page without HTMX gets HTMX 2, or HTMX 4 from `/htmx-sse.js?htmx=4`.
 */
import { adaptHtmx2, reviveHtmx2, type Htmx2 } from "./htmx-2.ts";
import { adaptHtmx4, reviveHtmx4, type Htmx4 } from "./htmx-4.ts";

declare global {
  interface Window {
    htmx?: Htmx2 | Htmx4;
    [SET_UP]?: Promise<() => void>;
  }
}

/** Marks a page that is set up. A page may load this module from several URLs, and each gets a module of its own. */
const SET_UP: unique symbol = Symbol.for("edge-sse/htmx-sse");

// Two set-ups in one page would close each other's streams and swap each event in twice.
window[SET_UP] ??= setUp();
const revive = await window[SET_UP];
revive();

/** @returns a function that connects the elements which the page has got since */
async function setUp(): Promise<() => void> {
  if (window.htmx === undefined) {
    // HTMX may come further down the page. This listener comes first, so it still runs before HTMX looks at the page.
    await reached("interactive");
  }
  if (window.htmx === undefined) {
    await reached("complete");
    await load(new URL(import.meta.url).searchParams.get("htmx") === "4" ? "htmx-4.js" : "htmx-2.js");
  }
  const { htmx } = window;
  if (htmx === undefined) {
    return () => {};
  }
  if (isHtmx4(htmx)) {
    adaptHtmx4(htmx);
    await load("htmx-4-sse.js");
    await reached("complete");
    return () => reviveHtmx4(htmx);
  }
  if (!adaptHtmx2(htmx)) {
    await load("htmx-2-sse.js");
  }
  await reached("complete");
  return () => reviveHtmx2(htmx);
}

function isHtmx4(htmx: Htmx2 | Htmx4): htmx is Htmx4 {
  return htmx.version.startsWith("4.");
}

/** Waits for the document to be parsed or loaded, and for the other listeners of that event to have run. */
function reached(state: "interactive" | "complete"): Promise<void> {
  if (document.readyState === "complete") {
    return new Promise((resolve) => setTimeout(resolve));
  }
  return new Promise((resolve) => {
    if (state === "interactive") {
      document.addEventListener("DOMContentLoaded", () => resolve(), { once: true });
    } else {
      window.addEventListener("load", () => setTimeout(resolve), { once: true });
    }
  });
}

function load(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(`vendor/${name}`, import.meta.url).href;
    script.addEventListener("load", () => resolve());
    script.addEventListener("error", () => reject(new Error(`${script.src} does not load`)));
    document.head.append(script);
  });
}
