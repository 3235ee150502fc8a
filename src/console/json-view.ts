import { create } from "./dom.ts";

/** A string with its colon if it is a name, a number, `true`, `false` or `null`. */
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g;

/**
 * The longest indented JSON, in characters. A wide array at depth 500 turns 65 kB of JSON into 32 MB of indentation.
 */
const MOST_INDENTED = 500_000;

/** Shows data as coloured JSON, indented unless that makes it too long. */
export function jsonView(data: unknown): HTMLPreElement {
  const text = format(data);
  const view = create("pre", { class: "code" });
  // The arrow keys scroll an element only if it can have the focus.
  view.tabIndex = 0;
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [token, string, colon] = match;
    view.append(text.slice(end, match.index));
    if (string === undefined) {
      view.append(create("span", { class: "json-literal" }, token));
    } else {
      view.append(create("span", { class: colon === undefined ? "json-string" : "json-name" }, string));
      view.append(colon ?? "");
    }
    end = match.index + token.length;
  }
  view.append(text.slice(end));
  return view;
}

function format(data: unknown): string {
  const indented = JSON.stringify(data, null, 2) ?? String(data);
  return indented.length <= MOST_INDENTED ? indented : JSON.stringify(data);
}
