import { describe, expect, it } from "vitest";

import { addCors, preflightResponse } from "../../../../src/service/response/cors.ts";

const ORIGIN = "https://app.example.com";
const SETTING = { allowed_origins: [ORIGIN, "https://*.example.org"] };
const NONE = { allowed_origins: [] };

function requestOf(origin: string | null, method = "GET", headers: Record<string, string> = {}): Request {
  const all = new Headers(headers);
  if (origin !== null) {
    all.set("Origin", origin);
  }
  // `Request` in Node drops Origin, as a browser does. A server receives it.
  const request = new Request("https://edge-sse.test/api/events", { method });
  Object.defineProperty(request, "headers", { value: all });
  return request;
}

function corsOf(origin: string | null, setting = SETTING, headers = new Headers()): Record<string, string> {
  addCors(headers, requestOf(origin), setting);
  return Object.fromEntries(headers);
}

const PREFLIGHT = { "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-anything" };

describe("the headers for pages of other origins", () => {
  it.each([ORIGIN, "https://a.example.org", "https://a.b.example.org"])(
    "let %s read with credentials",
    (origin) => {
      expect(corsOf(origin)).toEqual({
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Retry-After",
        vary: "Origin",
      });
    },
  );

  it.each([null, "", "null", "*", "https://evil.test", `${ORIGIN}.evil.test`, "https://example.org"])(
    "are missing for %j, but Vary names the origin",
    (origin) => {
      expect(corsOf(origin)).toEqual({ vary: "Origin" });
    },
  );

  it("are missing if no origin is listed", () => {
    expect(corsOf(ORIGIN, NONE)).toEqual({});
  });

  it("keep the Vary of the response", () => {
    const headers = new Headers({ Vary: "Accept-Encoding" });
    expect(corsOf(ORIGIN, SETTING, headers)).toMatchObject({ vary: "Accept-Encoding, Origin" });
  });

  it("replace CORS headers that the response has", () => {
    const headers = new Headers({ "Access-Control-Allow-Origin": "*" });
    expect(corsOf(ORIGIN, SETTING, headers)).toMatchObject({ "access-control-allow-origin": ORIGIN });
  });
});

describe("the answer to a preflight", () => {
  it("lists the methods of the route, and the same headers for every request", () => {
    const response = preflightResponse(requestOf(ORIGIN, "OPTIONS", PREFLIGHT), SETTING, ["GET", "HEAD"]);
    expect(response?.status).toBe(204);
    expect(Object.fromEntries(response?.headers ?? [])).toEqual({
      "access-control-allow-methods": "GET, HEAD",
      "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID, Cache-Control",
      "access-control-max-age": "7200",
    });
  });

  it.each<[string, Request]>([
    ["another origin", requestOf("https://evil.test", "OPTIONS", PREFLIGHT)],
    ["no origin", requestOf(null, "OPTIONS", PREFLIGHT)],
    ["null", requestOf("null", "OPTIONS", PREFLIGHT)],
    ["an OPTIONS that is no preflight", requestOf(ORIGIN, "OPTIONS")],
    ["another method", requestOf(ORIGIN, "POST", PREFLIGHT)],
  ])("is missing for %s", (_, request) => {
    expect(preflightResponse(request, SETTING, ["GET"])).toBeNull();
  });

  it("is missing if no origin is listed", () => {
    expect(preflightResponse(requestOf(ORIGIN, "OPTIONS", PREFLIGHT), NONE, ["GET"])).toBeNull();
  });
});
