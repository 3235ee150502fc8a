import { describe, expect, it } from "vitest";

import { memberOf, parseData } from "../../../src/client/decode.ts";

describe("the data of an event", () => {
  it("is the parsed JSON", () => {
    expect(['{"a":[1]}', "null", '"text"', "12"].map(parseData)).toEqual([{ a: [1] }, null, "text", 12]);
  });

  it("is the text itself if it is not JSON", () => {
    expect(["", "{", "hello", "undefined", "1 2"].map(parseData)).toEqual([
      "",
      "{",
      "hello",
      "undefined",
      "1 2",
    ]);
  });

  it("has no members unless it is an object", () => {
    expect([null, "text", 1, undefined, []].map((data) => memberOf(data, "a"))).toEqual(
      Array(5).fill(undefined),
    );
    expect(memberOf({ a: 1 }, "a")).toBe(1);
  });
});
