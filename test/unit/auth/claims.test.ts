import { describe, expect, it } from "vitest";

import { readGrants } from "../../../src/auth/claims.ts";

const FIELDS = ["project_id", "agent_id"];

function list(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `entry-${index}`);
}

describe("the claim with the grants of a token", () => {
  it.each<[unknown, unknown]>([
    [{}, {}],
    [{ publish: {} }, { publish: {} }],
    [
      { subscribe: {}, publish: {} },
      { subscribe: {}, publish: {} },
    ],
    [
      { admin: true, metrics: true },
      { admin: {}, metrics: {} },
    ],
    [{ admin: false, metrics: false }, {}],
    [
      {
        subscribe: { channels: ["board-*"], types: ["turn_*", "done"], project_id: [7, "x"], agent_id: [] },
      },
      {
        subscribe: {
          channels: ["board-*"],
          types: ["turn_*", "done"],
          fields: { project_id: ["7", "x"], agent_id: [] },
        },
      },
    ],
  ])("is read: %j", (claim, grants) => {
    expect(readGrants(claim, FIELDS)).toEqual(grants);
  });

  it("may contain an id as a number or as text, which mean the same", () => {
    const ids = [0, -1, Number.MAX_SAFE_INTEGER, "007"];
    expect(readGrants({ publish: { agent_id: ids } }, FIELDS)).toEqual({
      publish: { fields: { agent_id: ["0", "-1", "9007199254740991", "007"] } },
    });
  });

  it.each<[unknown]>([
    [undefined],
    [null],
    [true],
    [0],
    [""],
    ["publish"],
    [[]],
    [["publish"]],
    [[{ publish: {} }]],
    [() => ({})],
  ])("grants nothing if it is not an object: %j", (claim) => {
    expect(readGrants(claim, FIELDS)).toBeNull();
  });

  it.each<[string, unknown]>([
    ["a group that is true", { publish: true }],
    ["a group that is false", { subscribe: false }],
    ["a group that is null", { publish: null }],
    ["a group that is a list", { publish: ["default"] }],
    ["a group that is a text", { subscribe: "*" }],
    ["a switch that is a number", { admin: 1 }],
    ["a switch that is a text", { admin: "true" }],
    ["a switch that is an object", { metrics: {} }],
    ["a switch that is null", { admin: null }],
    ["a list that is a text", { publish: { channels: "default" } }],
    ["a list that is null", { publish: { channels: null } }],
    ["a list that is an object", { publish: { channels: { 0: "default", length: 1 } } }],
    ["a list in a list", { publish: { channels: [["default"]] } }],
    ["an empty entry", { publish: { types: [""] } }],
    ["an entry that is null", { publish: { types: [null] } }],
    ["a number where a name belongs", { publish: { channels: [7] } }],
    ["a number where a type belongs", { publish: { types: [7] } }],
    ["a fraction for an id", { publish: { project_id: [7.5] } }],
    ["an id that no number can hold", { publish: { project_id: [2 ** 53] } }],
    ["an id that is true", { publish: { agent_id: [true] } }],
    ["an entry of 129 characters", { publish: { types: ["x".repeat(129)] } }],
    ["101 entries", { publish: { channels: list(101) } }],
  ])("grants nothing with %s", (_, claim) => {
    expect(readGrants(claim, FIELDS)).toBeNull();
  });

  it("has room for 100 entries of 128 characters", () => {
    const channels = [...list(99), "x".repeat(128)];
    expect(readGrants({ publish: { channels } }, FIELDS)).toEqual({ publish: { channels } });
  });

  it.each<[string]>([
    ['{"subscribe":{"channel":["default"]}}'],
    ['{"subscribe":{"projectIds":["7"]}}'],
    ['{"subscribe":{"projects":["7"]}}'],
    ['{"subscribe":{"tenant_id":["7"]}}'],
    ['{"subscribe":{"fields":{"project_id":["7"]}}}'],
    ['{"subscribe":{"toString":["default"]}}'],
    ['{"subscribe":{"__proto__":["default"]}}'],
    ['{"subscribe":{"__proto__":{"channels":["default"]}}}'],
    ['{"subscribe":{"constructor":["default"]}}'],
    ['{"subscribe":{},"read":{}}'],
    ['{"subscribe":{},"Admin":true}'],
    ['{"subscribe":{},"__proto__":{"admin":true}}'],
    ['{"__proto__":{"admin":true}}'],
    ['{"constructor":{"prototype":{"admin":true}}}'],
  ])("grants nothing if it contains an unknown word: %s", (claim) => {
    expect(readGrants(JSON.parse(claim), FIELDS)).toBeNull();
    expect(Object.hasOwn(Object.prototype, "admin")).toBe(false);
  });

  it("does not grant groups that it does not contain, whatever an object inherits", () => {
    const grants = readGrants({ publish: {} }, FIELDS);
    expect(Object.keys(grants ?? {})).toEqual(["publish"]);
  });
});
