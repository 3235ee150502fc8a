import { describe, expect, it } from "vitest";

import { bearerToken, equalTokens } from "../../../src/auth/bearer.ts";

describe("the token of an Authorization header", () => {
  it.each([
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["BEARER abc", "abc"],
    ["Bearer   abc", "abc"],
    ["Bearer abc ", "abc"],
    ["Bearer aZ09-._~+/==", "aZ09-._~+/=="],
  ])("is read from %j", (header, token) => {
    expect(bearerToken(header)).toBe(token);
  });

  it.each(["p@ss w!rd$:", "a,b", "a=b", "=", "ä"])(
    "may be any text that a deployment has chosen: %j",
    (token) => {
      expect(bearerToken(`Bearer ${token}`)).toBe(token);
    },
  );

  it("is found in a header of any length in no time", () => {
    const started = performance.now();
    bearerToken(`Bearer a${" ".repeat(200_000)}b`);
    expect(performance.now() - started).toBeLessThan(100);
  });

  it.each([null, "", "Bearer", "Bearer ", "Bearerabc", "Basic abc", "abc", " Bearer abc", "Bearer\tabc"])(
    "is not there in %j",
    (header) => {
      expect(bearerToken(header)).toBeNull();
    },
  );
});

describe("the comparison of tokens", () => {
  it("finds equal ones equal", async () => {
    await expect(equalTokens("abc", "abc")).resolves.toBe(true);
    await expect(equalTokens("x".repeat(10_000), "x".repeat(10_000))).resolves.toBe(true);
  });

  it.each([
    ["abd", "abc"],
    ["ab", "abc"],
    ["abcd", "abc"],
    ["ABC", "abc"],
    ["", "abc"],
    ["abc", ""],
    ["cba", "abc"],
    ["abc ", "abc"],
  ])("finds %j different from %j", async (given, expected) => {
    await expect(equalTokens(given, expected)).resolves.toBe(false);
  });

  it("does not remember the wrong one when several are expected in turn, or at once", async () => {
    const pairs = [
      ["publish", "publish", true],
      ["publish", "admin", false],
      ["admin", "admin", true],
      ["admin", "publish", false],
      ["publish", "publish", true],
    ] as const;
    for (const [given, expected, equal] of pairs) {
      await expect(equalTokens(given, expected)).resolves.toBe(equal);
    }
    const atOnce = await Promise.all(pairs.map(([given, expected]) => equalTokens(given, expected)));
    expect(atOnce).toEqual(pairs.map(([, , equal]) => equal));
  });
});
