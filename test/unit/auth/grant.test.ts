import {
  array,
  assert,
  constant,
  constantFrom,
  oneof,
  property,
  record,
  string,
  type Arbitrary,
} from "fast-check";
import { describe, expect, it } from "vitest";

import { forbiddenMembers, grantsChannel, narrow, WHOLE, type Grant } from "../../../src/auth/grant.ts";
import { createFilter, type Filterable, type FilterTerms } from "../../../src/hub/filter.ts";

// Few letters, so that random lists overlap.
const type = string({ unit: constantFrom("a", "b", "_"), minLength: 1, maxLength: 4 });
const pattern = oneof(
  type,
  type.map((prefix) => `${prefix}*`),
  constant("*"),
);
const id = constantFrom("1", "2", "3", "01");

function optionalLists(types: Arbitrary<string>): Arbitrary<FilterTerms> {
  return record(
    {
      types: array(types, { maxLength: 4 }),
      fields: record(
        { project_id: array(id, { maxLength: 3 }), agent_id: array(id, { maxLength: 3 }) },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  ).filter(({ fields }) => fields === undefined || Object.keys(fields).length > 0);
}

const terms = optionalLists(pattern);
const grant: Arbitrary<Grant> = optionalLists(pattern);
const event: Arbitrary<Filterable> = record({
  type,
  fields: record({ project_id: id, agent_id: id }, { requiredKeys: [] }),
});

describe("a filter under a grant", () => {
  it("lets through exactly the events that the filter and the grant both let through", () => {
    assert(
      property(terms, grant, event, (asked, granted, seen) => {
        const isBoth = createFilter(asked).matches(seen) && createFilter(granted).matches(seen);
        expect(createFilter(narrow(asked, granted)).matches(seen)).toBe(isBoth);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is the filter itself under the whole grant, and the grant itself without a filter", () => {
    assert(
      property(terms, (asked) => {
        expect(narrow(asked, WHOLE)).toEqual(asked);
        expect(narrow({}, asked)).toEqual(asked);
      }),
    );
  });

  it("is not widened by narrowing it again", () => {
    assert(
      property(terms, grant, grant, event, (asked, first, second, seen) => {
        const once = createFilter(narrow(asked, first));
        const twice = createFilter(narrow(narrow(asked, first), second));
        expect(!twice.matches(seen) || once.matches(seen)).toBe(true);
      }),
    );
  });

  it.each<[FilterTerms, Grant, FilterTerms]>([
    [{}, { types: [] }, { types: [] }],
    [{ types: ["a"] }, { types: [] }, { types: [] }],
    [{ types: ["turn*"] }, { types: ["turn_*", "turned"] }, { types: ["turn_*", "turned"] }],
    [{ types: ["*"] }, { types: ["done"] }, { types: ["done"] }],
    [{ types: ["done"] }, { types: ["*"] }, { types: ["done"] }],
    [{ types: ["a*"] }, { types: ["b*"] }, { types: [] }],
    [
      { fields: { project_id: ["7", "8"] } },
      { fields: { project_id: ["8", "9"] } },
      { fields: { project_id: ["8"] } },
    ],
    [
      { fields: { project_id: ["7"] } },
      { fields: { agent_id: ["1"] } },
      { fields: { project_id: ["7"], agent_id: ["1"] } },
    ],
    [{ fields: { agent_id: ["1*"] } }, { fields: { agent_id: ["12"] } }, { fields: { agent_id: [] } }],
  ])("narrows %j under %j to %j", (asked, granted, left) => {
    expect(narrow(asked, granted)).toEqual(left);
  });

  it("does not contain channels, which are checked before", () => {
    expect(narrow({}, { channels: ["board-*"] })).toEqual({});
  });
});

describe("the forbidden members of an event", () => {
  it("are empty exactly if the grant, used as a filter, lets the event through", () => {
    assert(
      property(grant, event, (granted, published) => {
        const isAllowed = forbiddenMembers(published, granted).length === 0;
        expect(isAllowed).toBe(createFilter(granted).matches(published));
      }),
      { numRuns: 2_000 },
    );
  });

  it("are listed one by one", () => {
    const granted = { types: ["turn_*"], fields: { project_id: ["7"], agent_id: ["1"] } };
    const beyond = { type: "done", fields: { project_id: "8" } };
    expect(forbiddenMembers(beyond, granted)).toEqual(["type", "project_id", "agent_id"]);
    expect(
      forbiddenMembers({ ...beyond, type: "turn_1", fields: { project_id: "8", agent_id: "1" } }, granted),
    ).toEqual(["project_id"]);
    expect(forbiddenMembers(beyond, WHOLE)).toEqual([]);
  });
});

describe("the channels of a grant", () => {
  it.each<[readonly string[] | undefined, string, boolean]>([
    [undefined, "board", true],
    [[], "board", false],
    [["*"], "board", true],
    [["board"], "board", true],
    [["board"], "board-1", false],
    [["board-*"], "board-1", true],
    [["board-*"], "board", false],
    [["board-*"], "aboard-1", false],
  ])("%j: %s is one of them: %s", (channels, channel, isGranted) => {
    expect(grantsChannel({ ...(channels && { channels }) }, channel)).toBe(isGranted);
  });
});
