import { describe, expect, it } from "vitest";

import { Tree } from "../../../src/relay/tree.ts";

const ALL = (): boolean => true;

/** A tree with two relays for each object: the hub feeds europe/1 and asia/1. */
function grown(...others: string[]): Tree {
  const tree = new Tree(2);
  for (const relay of ["europe/1", "asia/1", ...others]) {
    tree.parentOf(relay, null, ALL);
  }
  return tree;
}

describe("the parent of a relay", () => {
  it("is the hub while the hub has room", () => {
    const tree = new Tree(2);
    expect([tree.parentOf("europe/1", null, ALL), tree.parentOf("asia/1", null, ALL)]).toEqual([null, null]);
  });

  it("is then a relay that the hub feeds, of the same region if that has room", () => {
    const tree = grown();
    expect(["asia/2", "asia/3", "asia/4"].map((relay) => tree.parentOf(relay, null, ALL))).toEqual([
      "asia/1",
      "asia/1",
      "europe/1",
    ]);
  });

  it("is the one with the fewest relays", () => {
    const tree = grown("africa/1");
    expect(tree.parentOf("africa/2", null, ALL)).toBe("asia/1");
  });

  it("stays the same", () => {
    const tree = grown("asia/2");
    tree.forget("europe/1");
    expect([tree.parentOf("asia/2", "asia/1", ALL), tree.parentOf("asia/1", null, ALL)]).toEqual([
      "asia/1",
      null,
    ]);
  });

  it("is kept after the hub was lost, if the hub feeds that parent again", () => {
    const tree = new Tree(2);
    tree.fed("europe/1");
    tree.fed("asia/1");
    expect(tree.parentOf("africa/1", "asia/1", ALL)).toBe("asia/1");
  });

  it("is replaced if the hub does not feed it", () => {
    const tree = grown("asia/2");
    expect(tree.parentOf("asia/2", "asia/1", (relay) => relay !== "asia/1")).toBe("europe/1");
  });

  it("is the hub if a relay that the hub fed is gone", () => {
    const tree = grown("asia/2");
    tree.forget("asia/1");
    expect(tree.parentOf("asia/2", "asia/1", ALL)).toBeNull();
    // The relay that comes back has lost its place.
    expect(tree.parentOf("asia/1", null, ALL)).toBe("asia/2");
  });

  it("is never the relay itself, and never a relay that has a parent: there is no cycle", () => {
    const tree = grown("africa/1", "africa/2");
    expect(tree.parentOf("europe/2", "africa/1", ALL)).toBe("europe/1");
    expect(tree.parentOf("africa/1", "africa/1", ALL)).not.toBe("africa/1");
  });

  it("is tried again later if nobody has room", () => {
    const tree = grown("a/1", "a/2", "a/3", "a/4");
    expect(tree.parentOf("a/5", null, ALL)).toBeNull();
    tree.forget("a/4");
    expect(tree.parentOf("a/5", null, ALL)).toBe("asia/1");
  });

  it("gives 2,550 relays a place, 50 at each object", () => {
    const tree = new Tree();
    const relays = Array.from({ length: 2_550 }, (_, index) => `r${index % 7}/${index}`);
    const parents = new Map(relays.map((relay) => [relay, tree.parentOf(relay, null, ALL)]));
    const children = Map.groupBy(parents.keys(), (relay) => parents.get(relay) ?? "the hub");
    expect([children.size, ...new Set(Array.from(children.values(), ({ length }) => length))]).toEqual([
      51, 50,
    ]);
    expect([...children.keys()].every((parent) => (parents.get(parent) ?? null) === null)).toBe(true);
  });
});
