import { execFileSync } from "node:child_process";
import { runInNewContext } from "node:vm";

import { describe, expect, it } from "vitest";

import { quoteForHtml, quoteForScript, quoteForShell } from "../../../src/console/quote.ts";

const NASTY = [
  "",
  "plain",
  "two words",
  "x';touch PWNED;echo '",
  "'",
  "''",
  String.raw`\'`,
  "\\",
  '"',
  "$HOME",
  "$(id)",
  "`id`",
  "!!",
  "*",
  "~",
  "#",
  "-n",
  "a\nb",
  "a\r\nb",
  "\t",
  "\u001b[31m",
  "</script><script>alert(1)</script>",
  "<!--",
  '" onclick="alert(1)',
  "&quot;",
  "\u2028",
  "ä𝄞",
];

describe("a value in a snippet", () => {
  it.each(NASTY)("is one word of a shell, and itself: %j", (value) => {
    const script = `printf '[%s]' ${quoteForShell(value)}`;
    expect(execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" })).toBe(`[${value}]`);
  });

  it.each(NASTY)("is one literal of a script, and itself: %j", (value) => {
    expect(runInNewContext(quoteForScript(value))).toBe(value);
    expect(quoteForScript(value)).not.toContain("<");
  });

  it.each(NASTY)("ends no attribute of HTML, and is itself there: %j", (value) => {
    const [, inside = "?"] = /^"([^"<>]*)"$/.exec(quoteForHtml(value)) ?? [];
    const entities: Record<string, string> = { "&amp;": "&", "&quot;": '"', "&lt;": "<", "&gt;": ">" };
    expect(inside.replaceAll(/&[^;]*;/g, (entity) => entities[entity] ?? "?")).toBe(value);
  });
});
