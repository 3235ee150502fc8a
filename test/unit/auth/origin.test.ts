import { describe, expect, it } from "vitest";

import { isAllowedOrigin } from "../../../src/auth/origin.ts";

const ALLOWED = ["https://app.example.com", "http://localhost:5173", "https://*.example.org"];

describe("an origin", () => {
  it.each([
    "https://app.example.com",
    "http://localhost:5173",
    "https://a.example.org",
    "https://a.b.example.org",
    "https://a-1.example.org",
    "https://xn--mnchen-3ya.example.org",
  ])("is allowed: %s", (origin) => {
    expect(isAllowedOrigin(origin, ALLOWED)).toBe(true);
  });

  it.each([
    "",
    "null",
    "*",
    "https://",
    // Another scheme, port or name.
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com:443",
    "http://localhost",
    "http://localhost:51730",
    "https://example.com",
    "https://www.app.example.com",
    // Look-alikes of an exact origin.
    "https://app.example.com.evil.test",
    "https://app.example.comevil.test",
    "https://app-example.com",
    "https://app.example.com.",
    "https://app.example.com/",
    "https://APP.example.com",
    "https://аpp.example.com",
    "https://app.example.com@evil.test",
    "https://app.example.com#evil.test",
    " https://app.example.com",
    "https://app.example.com ",
    "https://app.example.com, https://evil.test",
    // Look-alikes of a wildcard.
    "https://example.org",
    "https://.example.org",
    "https://evilexample.org",
    "https://a..example.org",
    "https://a.example.org.evil.test",
    "https://a.example.org:8443",
    "http://a.example.org",
    "https://evil.test/.example.org",
    "https://evil.test#.example.org",
    "https://evil.test?.example.org",
    "https://evil.test:80.example.org",
    "https://evil.test@a.example.org",
    "https://evil.test\\.example.org",
    "https://evil.test\n.example.org",
    "https://evil.test%00.example.org",
    "https://A.example.org",
    "https://ä.example.org",
    "https://*.example.org",
    "wss://a.example.org",
  ])("is not allowed: %j", (origin) => {
    expect(isAllowedOrigin(origin, ALLOWED)).toBe(false);
  });

  it("is not allowed by an empty list", () => {
    expect(isAllowedOrigin("https://app.example.com", [])).toBe(false);
    expect(isAllowedOrigin("", [])).toBe(false);
  });

  it("with a port is allowed only by a wildcard with the same port", () => {
    const allowed = ["https://*.example.org:8443"];
    expect(isAllowedOrigin("https://a.example.org:8443", allowed)).toBe(true);
    expect(isAllowedOrigin("https://a.example.org", allowed)).toBe(false);
    expect(isAllowedOrigin("https://a.example.org:84430", allowed)).toBe(false);
  });
});
