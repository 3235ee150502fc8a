import { array, assert, constant, constantFrom, oneof, property, string } from "fast-check";
import { describe, expect, it } from "vitest";

import { commonPatterns, isListed } from "../../../src/hub/pattern.ts";

const name = string({ unit: constantFrom("a", "b"), minLength: 1, maxLength: 4 });
const patterns = array(
  oneof(
    name,
    name.map((prefix) => `${prefix}*`),
    constant("*"),
  ),
  { maxLength: 5 },
);

describe("a list of names and prefixes", () => {
  it.each([
    ["board", ["board"], true],
    ["board", ["other", "board"], true],
    ["board", [], false],
    ["board", ["boar"], false],
    ["board", ["boar*"], true],
    ["board", ["board*"], true],
    ["board", ["board-*"], false],
    ["board", ["*"], true],
    ["board", ["Board"], false],
    // A star is a wildcard only at the end, and there is no other syntax.
    ["board", ["*board"], false],
    ["board", ["bo*rd"], false],
    ["board", ["b.*"], false],
    ["board", ["?oard"], false],
    ["", ["*"], true],
  ])("for %j: the list %j includes it: %s", (text, list, isIn) => {
    expect(isListed(text, list)).toBe(isIn);
  });
});

describe("the common entries of two lists", () => {
  it("are the entries that both lists include", () => {
    assert(
      property(patterns, patterns, name, (a, b, text) => {
        expect(isListed(text, commonPatterns(a, b))).toBe(isListed(text, a) && isListed(text, b));
      }),
      { numRuns: 2_000 },
    );
  });

  it("contain no duplicates, and are not more than the entries of both lists", () => {
    assert(
      property(patterns, patterns, (a, b) => {
        const both = commonPatterns(a, b);
        expect(new Set(both).size).toBe(both.length);
        expect(both.length).toBeLessThanOrEqual(a.length + b.length);
      }),
    );
  });
});
