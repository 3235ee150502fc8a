import { readFileSync } from "node:fs";

import { beforeAll, describe, expect, it } from "vitest";

import { DOCUMENTS, filled, namesIn, tablesOf } from "../../../../bench/capacity/documents.ts";

/** A number in a text, with its commas and decimals. */
const NUMBER = /\d+(?:[,.]\d+)*/g;

/** Code, links and the comments around tables: their digits are no claims. */
const NOT_TEXT = /```[^]*?```|`[^`\n]*`|\]\([^)]*\)|<[^>]*>|^\|.*$/gm;

let tables: ReadonlyMap<string, string>;

beforeAll(() => {
  tables = tablesOf();
});

function textNumbers(document: string): readonly string[] {
  return document.replaceAll(NOT_TEXT, "").match(NUMBER) ?? [];
}

function sectionOf(document: string, heading: string): string {
  const [, section = ""] = document.split(`${heading}\n`);
  return section.split(/^#+ /m)[0] ?? "";
}

describe("the documents of the simulation", () => {
  it.each(DOCUMENTS)("have its tables as it prints them: %s (npm run simulate -- --write)", (path) => {
    const document = readFileSync(path, "utf8");
    expect(namesIn(document).length).toBeGreaterThan(0);
    expect(document).toBe(filled(document, tables));
  });

  it("contain every table", () => {
    const names = DOCUMENTS.flatMap((path) => namesIn(readFileSync(path, "utf8")));
    expect(names.toSorted()).toEqual([...tables.keys()].toSorted());
  });

  it.each([
    ["docs/capacity.md", (document: string) => document],
    ["README.md", (document: string) => sectionOf(document, "### What it costs")],
  ])("mention no number that no table has: %s", (path, partOf) => {
    const known = new Set([...tables.values()].join("\n").match(NUMBER));
    // The year in which the prices were read.
    known.add("2026");
    const part = partOf(readFileSync(path, "utf8"));
    expect(part).not.toBe("");
    expect(textNumbers(part).filter((number) => !known.has(number))).toEqual([]);
  });

  it("cannot keep an old number", () => {
    const document = "<!-- simulate: prices -->\n\n| old |\n\n<!-- end -->";
    expect(filled(document, tables)).toContain(tables.get("prices"));
    expect(filled(document, tables)).not.toContain("old");
    expect(() => filled(document.replace("prices", "wishes"), tables)).toThrow(/no table called wishes/);
  });
});
