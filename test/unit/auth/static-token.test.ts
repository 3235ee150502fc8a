import { describe, expect, it, vi } from "vitest";

import { matchToken, tokensOf } from "../../../src/auth/static-token.ts";

describe("the tokens of a secret", () => {
  it.each([
    ["abc", ["abc"]],
    ["new,old", ["new", "old"]],
    [" new , old ", ["new", "old"]],
    ["a b", ["a b"]],
    [",new,,old,", ["new", "old"]],
    ["same,same", ["same", "same"]],
  ])("are the parts of %j between the commas", (secret, tokens) => {
    expect(tokensOf(secret)).toEqual(tokens);
  });

  it.each([undefined, "", " ", ",", " , ,, "])("are none for %j", (secret) => {
    expect(tokensOf(secret)).toEqual([]);
  });
});

describe("the comparison with a static token", () => {
  it("finds an equal token of any length", async () => {
    await expect(matchToken("abc", "abc")).resolves.toBe(0);
    await expect(matchToken("x".repeat(10_000), "x".repeat(10_000))).resolves.toBe(0);
  });

  it.each([
    ["abd", "abc"],
    ["ab", "abc"],
    ["abcd", "abc"],
    ["ABC", "abc"],
    ["cba", "abc"],
    ["abc ", "abc"],
    ["", "abc"],
    ["abc", ""],
    ["", ""],
    ["", ","],
    [" ", " , "],
    ["new,old", "new,old"],
    ["new,", "new,old"],
    [",", "new,old"],
    // The same letter, composed and decomposed: bytes are compared.
    ["\u00e9", "e\u0301"],
  ])("returns null for %j, which is not in the list %j", async (given, secret) => {
    await expect(matchToken(given, secret)).resolves.toBeNull();
  });

  it.each([
    ["new", 0],
    ["old", 1],
    ["oldest", 2],
  ])("finds the position of %j in a list", async (given, place) => {
    await expect(matchToken(given, " new,, old ,oldest")).resolves.toBe(place);
  });

  it("compares the whole list even after a match", async () => {
    const digests = vi.spyOn(crypto.subtle, "digest");
    await matchToken("first of a list", "first of a list,second of a list,third of a list");
    const count = digests.mock.calls.length;
    digests.mockRestore();
    // One digest for the given token, and one for each new token of the list.
    expect(count).toBe(4);
  });

  it("does not mix up secrets that are used in turn or at once", async () => {
    const pairs = [
      ["publish", "publish", 0],
      ["publish", "admin", null],
      ["admin", "admin", 0],
      ["admin", "publish", null],
      ["publish", "publish", 0],
    ] as const;
    for (const [given, expected, place] of pairs) {
      await expect(matchToken(given, expected)).resolves.toBe(place);
    }
    const atOnce = await Promise.all(pairs.map(([given, expected]) => matchToken(given, expected)));
    expect(atOnce).toEqual(pairs.map(([, , place]) => place));
  });
});
