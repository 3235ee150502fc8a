import { create } from "./dom.ts";

/** Strings, with the colon if they are names; numbers; true, false and null. */
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g;

/** JSON, indented and coloured. All of it is text. */
export function jsonView(data: unknown): HTMLPreElement {
  const text = JSON.stringify(data, null, 2) ?? String(data);
  const view = create("pre", { class: "code" });
  // It may be longer than its box: then the arrow keys scroll it.
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
