import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createFilter, FilterPool, type Filterable, type FilterTerms } from "../../../src/hub/filter.ts";

function event(parts: Partial<Filterable> = {}): Filterable {
  return { type: "turn_detected", fields: { project_id: "7", agent_id: "1" }, ...parts };
}

function passes(terms: FilterTerms, parts?: Partial<Filterable>): boolean {
  return createFilter(terms).matches(event(parts));
}

function keyOf(terms: FilterTerms): string {
  return createFilter(terms).key;
}

describe("a filter by type", () => {
  it("lets everything through if it is absent or has an entry *", () => {
    expect(passes({})).toBe(true);
    expect(passes({ types: ["*"] })).toBe(true);
    expect(passes({ types: ["other", "*"] })).toBe(true);
  });

  it("compares names exactly", () => {
    expect(passes({ types: ["turn_detected"] })).toBe(true);
    for (const type of ["turn", "turn_detected_", "Turn_detected", "urn_detected", "turn_detecte"]) {
      expect(passes({ types: [type] })).toBe(false);
    }
  });

  it("treats a name that ends in * as a prefix", () => {
    for (const type of ["t*", "turn_*", "turn_detected*"]) {
      expect(passes({ types: [type] })).toBe(true);
    }
    for (const type of ["u*", "turn_detected_*", "T*", "urn*"]) {
      expect(passes({ types: [type] })).toBe(false);
    }
  });

  it("compares the characters of a prefix literally", () => {
    expect(passes({ types: ["a.*"] }, { type: "a.b" })).toBe(true);
    expect(passes({ types: ["a.*"] }, { type: "axb" })).toBe(false);
  });

  it("lets an event through if any entry matches", () => {
    const terms = { types: ["session_ended", "turn_*"] };
    expect(passes(terms)).toBe(true);
    expect(passes(terms, { type: "session_ended" })).toBe(true);
    expect(passes(terms, { type: "session_discovered" })).toBe(false);
  });

  it("finds a matching prefix among many, like trying each of them", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "_", "."), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 100 }), text, (prefixes, type) => {
        const wanted = prefixes.filter((prefix) => prefix !== "");
        expect(passes({ types: wanted.map((prefix) => `${prefix}*`) }, { type })).toBe(
          wanted.some((prefix) => type.startsWith(prefix)),
        );
      }),
    );
  });

  it("lets nothing through if it has no entries", () => {
    expect(passes({ types: [] })).toBe(false);
  });
});

describe("a filter by project or agent", () => {
  it("compares ids as strings", () => {
    expect(passes({ fields: { project_id: ["7"] } })).toBe(true);
    for (const id of ["07", "7.0", " 7", "77", ""]) {
      expect(passes({ fields: { project_id: [id] } })).toBe(false);
    }
  });

  it("does not match an event without an id", () => {
    expect(passes({ fields: { project_id: ["7"] } }, { fields: { agent_id: "1" } })).toBe(false);
    expect(passes({ fields: { agent_id: ["1"] } }, { fields: { project_id: "7" } })).toBe(false);
    expect(passes({ fields: { project_id: ["null", "undefined", ""] } }, { fields: {} })).toBe(false);
  });

  it("does not mix up projects and agents", () => {
    expect(passes({ fields: { project_id: ["1"] } })).toBe(false);
    expect(passes({ fields: { agent_id: ["7"] } })).toBe(false);
  });

  it("ORs the entries of one list and ANDs the lists", () => {
    const terms = { types: ["turn_*", "x"], fields: { project_id: ["6", "7"], agent_id: ["1", "2"] } };
    expect(passes(terms)).toBe(true);
    expect(passes(terms, { type: "y" })).toBe(false);
    expect(passes(terms, { fields: { project_id: "8", agent_id: "1" } })).toBe(false);
    expect(passes(terms, { fields: { project_id: "7", agent_id: "3" } })).toBe(false);
    expect(passes(terms, { fields: { project_id: "6", agent_id: "2" }, type: "x" })).toBe(true);
  });
});

describe("the key of a filter", () => {
  it("is the same for equal terms, in any order and with duplicates", () => {
    expect(keyOf({ types: ["a", "b"] })).toBe(keyOf({ types: ["b", "a", "b"] }));
    expect(keyOf({ types: ["*"] })).toBe(keyOf({}));
    expect(keyOf({ fields: { project_id: ["2", "10"] } })).toBe(
      keyOf({ fields: { project_id: ["10", "2"] } }),
    );
  });

  it("differs between lists, and between a missing and an empty list", () => {
    const keys = [
      {},
      { types: ["1"] },
      { fields: { project_id: ["1"] } },
      { fields: { agent_id: ["1"] } },
      { types: [] },
      { fields: { project_id: [] } },
      { types: ["a", "b"] },
      { types: ["a,b"] },
      { types: ['a","b'] },
    ].map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("is equal only for filters that let the same events through", () => {
    const names = fc.constantFrom("a", "b", "ab", "a*", "*");
    const ids = fc.constantFrom("a", "b");
    const terms: fc.Arbitrary<FilterTerms> = fc.record(
      {
        types: fc.array(names),
        fields: fc.record({ project_id: fc.array(ids), agent_id: fc.array(ids) }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    const events: fc.Arbitrary<Filterable> = fc.record({
      type: fc.constantFrom("a", "b", "ab", "c"),
      fields: fc.record({ project_id: ids, agent_id: ids }, { requiredKeys: [] }),
    });
    fc.assert(
      fc.property(terms, terms, events, (one, other, candidate) => {
        const [a, b] = [createFilter(one), createFilter(other)];
        fc.pre(a.key === b.key);
        expect(a.matches(candidate)).toBe(b.matches(candidate));
      }),
      { numRuns: 100, maxSkipsPerRun: 1_000 },
    );
  });
});

describe("the pool of filters", () => {
  it("gives the same filter for equal terms", () => {
    const pool = new FilterPool();
    expect(pool.acquire({ types: ["a", "b"] })).toBe(pool.acquire({ types: ["b", "a"] }));
    expect(pool.acquire({ types: ["a"] })).not.toBe(pool.acquire({ types: ["b"] }));
  });

  it("keeps a filter until the last holder releases it", () => {
    const pool = new FilterPool();
    const first = pool.acquire({ types: ["a"] });
    pool.acquire({ types: ["a"] });
    pool.release(first);
    expect(pool.acquire({ types: ["a"] })).toBe(first);
    pool.release(first);
    pool.release(first);
    expect(pool.acquire({ types: ["a"] })).not.toBe(first);
  });
});
