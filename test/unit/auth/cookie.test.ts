import { describe, expect, it } from "vitest";

import { cookieToken, mayUseCookie } from "../../../src/auth/cookie.ts";

const NAME = "__Host-edge_sse";

describe("the token of a Cookie header", () => {
  it.each([
    [`${NAME}=abc`, "abc"],
    [`a=1; ${NAME}=abc; b=2`, "abc"],
    [`a=1;${NAME}=abc;b=2`, "abc"],
    [`a=1;\t ${NAME}=abc \t;b=2`, "abc"],
    [`${NAME}=a=b==`, "a=b=="],
    [`${NAME}=e30.e30.abc-_`, "e30.e30.abc-_"],
    [`x${NAME}=1; ${NAME}=abc`, "abc"],
    [`${NAME}x=1; ${NAME}=abc`, "abc"],
  ])("is read from %j", (header, token) => {
    expect(cookieToken(header)).toBe(token);
  });

  it.each([
    [null],
    [""],
    [";;;"],
    ["edge_sse=abc"],
    ["__host-edge_sse=abc"],
    ["__Secure-edge_sse=abc"],
    [NAME],
    [`${NAME}=`],
    [`${NAME} =abc`],
    [`a=${NAME}=abc`],
    [`x${NAME}=abc`],
    ["%5F%5FHost-edge_sse=abc"],
  ])("is missing in %j", (header) => {
    expect(cookieToken(header)).toBeNull();
  });

  it.each([
    [`${NAME}=mine; ${NAME}=planted`],
    [`${NAME}=same; ${NAME}=same`],
    [`${NAME}=; ${NAME}=planted`],
    [`${NAME}=mine; ${NAME}=`],
  ])("is ignored if there are two: %j", (header) => {
    expect(cookieToken(header)).toBeNull();
  });

  it.each(["\u00a0", "\u2000", "\u3000", "\ufeff", "\v", "\f", "\u0085", "\u2028"])(
    "is ignored after white space that hides the prefix of its name from a browser: %j",
    (space) => {
      expect(cookieToken(`${space}${NAME}=planted`)).toBeNull();
      expect(cookieToken(`${NAME}=mine; ${space}${NAME}=planted`)).toBe("mine");
    },
  );
});

describe("a cookie is accepted", () => {
  const ALLOWED = ["https://app.example.com"];
  const LISTED = "https://app.example.com";
  const OTHER = "https://evil.test";
  const SITES = ["same-origin", "same-site", "cross-site", "none", "SAME-ORIGIN", "", null] as const;
  const METHODS = ["GET", "HEAD", "POST", "DELETE"] as const;

  function counts(method: string, origin: string | null, site: string | null): boolean {
    const headers = new Headers();
    if (origin !== null) {
      headers.set("Origin", origin);
    }
    if (site !== null) {
      headers.set("Sec-Fetch-Site", site);
    }
    return mayUseCookie({ method, headers }, ALLOWED);
  }

  const cases = METHODS.flatMap((method) => SITES.map((site) => [method, site] as const));

  it.each(cases)("in a %s from a listed origin, with any Sec-Fetch-Site: %j", (method, site) => {
    expect(counts(method, LISTED, site)).toBe(true);
  });

  it.each(cases)("in no %s from another origin, with any Sec-Fetch-Site: %j", (method, site) => {
    expect(counts(method, OTHER, site)).toBe(false);
    expect(counts(method, "null", site)).toBe(false);
    expect(counts(method, "", site)).toBe(false);
  });

  it.each(cases)("in a %s without an Origin only with a suitable Sec-Fetch-Site: %j", (method, site) => {
    const isReading = method === "GET" || method === "HEAD";
    expect(counts(method, null, site)).toBe(site === "same-origin" || (site === "none" && isReading));
  });

  it("in no request with an Origin if no origin is listed", () => {
    const headers = new Headers({ Origin: LISTED, "Sec-Fetch-Site": "same-origin" });
    expect(mayUseCookie({ method: "GET", headers }, [])).toBe(false);
  });
});
