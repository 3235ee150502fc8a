import { describe, expect, it } from "vitest";

import { bearerToken } from "../../../src/auth/bearer.ts";

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
    "may be any text that a deployment chooses: %j",
    (token) => {
      expect(bearerToken(`Bearer ${token}`)).toBe(token);
    },
  );

  it.each([null, "", "Bearer", "Bearer ", "Bearerabc", "Basic abc", "abc", " Bearer abc", "Bearer\tabc"])(
    "is missing in %j",
    (header) => {
      expect(bearerToken(header)).toBeNull();
    },
  );
});
