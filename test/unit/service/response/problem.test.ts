import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import {
  bugResponse,
  Problem,
  problemResponse,
  unauthorized,
  type ProblemCode,
  type ProblemOptions,
} from "../../../../src/service/response/problem.ts";

function respond(code: ProblemCode, options?: ProblemOptions): Response {
  return problemResponse(new Problem(code, "What went wrong.", options), 7);
}

describe("a refusal as a response", () => {
  it("is problem+json with code, title and detail, and is not cached", async () => {
    const response = respond("invalid_parameter", {
      errors: [{ field: "types", detail: "An entry is empty." }],
    });
    expect(response.status).toBe(400);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toEqual({
      type: expect.any(String),
      title: expect.any(String),
      status: 400,
      detail: "What went wrong.",
      code: "invalid_parameter",
      errors: [{ field: "types", detail: "An entry is empty." }],
    });
  });

  it.each([
    ["not_found", 404],
    ["unknown_channel", 404],
    ["unknown_client", 404],
    ["method_not_allowed", 405],
    ["uri_too_long", 414],
    ["headers_too_large", 431],
    ["not_acceptable", 406],
    ["unsupported_media_type", 415],
    ["not_configured", 503],
    ["unauthorized", 401],
    ["forbidden", 403],
    ["origin_not_allowed", 403],
    ["keys_unavailable", 503],
    ["body_timeout", 408],
    ["body_too_large", 413],
    ["too_many_events", 413],
    ["event_too_large", 413],
    ["invalid_body", 400],
    ["invalid_event", 400],
    ["mixed_channels", 400],
    ["conflicting_field", 400],
    ["key_taken", 409],
    ["busy", 503],
    ["limit", 503],
    ["address_limit", 429],
    ["rate_limited", 429],
    ["draining", 503],
    ["shutting_down", 503],
    ["storage_full", 503],
    ["hub_unreachable", 503],
    ["internal", 500],
  ] as const)("%s is %d", async (code, status) => {
    const response = respond(code);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status, code });
  });

  it.each([
    "limit",
    "address_limit",
    "rate_limited",
    "draining",
    "shutting_down",
    "storage_full",
    "keys_unavailable",
  ] as const)("%s says when to try again", (code) => {
    expect(respond(code).headers.get("Retry-After")).toBe("7");
  });

  it("says exactly when to try again if that is known", () => {
    expect(respond("rate_limited", { retryAfterSeconds: 42 }).headers.get("Retry-After")).toBe("42");
  });

  it("does not say when to try again if that does not help", () => {
    expect(respond("not_configured").headers.has("Retry-After")).toBe(false);
    expect(respond("invalid_event").headers.has("Retry-After")).toBe(false);
  });

  it("says how to authenticate", () => {
    expect(respond("unauthorized").headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
    expect(respond("not_found").headers.has("WWW-Authenticate")).toBe(false);
  });

  it("lists the methods of the route", () => {
    expect(respond("method_not_allowed", { allow: ["GET", "HEAD"] }).headers.get("Allow")).toBe("GET, HEAD");
  });

  it("has no errors if there are none", async () => {
    expect(await respond("not_found").json()).not.toHaveProperty("errors");
  });
});

describe("a refusal of a hub as a response", () => {
  it("has the code of the hub and its time to wait", async () => {
    const refusal = new HubError("rate_limited", "Too many.", { retryAfterSeconds: 42 });
    const response = problemResponse(refusal, 7);
    expect([response.status, response.headers.get("Retry-After")]).toEqual([429, "42"]);
    expect(await response.json()).toMatchObject({ code: "rate_limited", detail: "Too many." });
  });

  it("is 401 if the token of a stream has expired", async () => {
    const response = problemResponse(new HubError("token_ended", "The token has ended."), 7);
    expect(response.headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
    // The answer to an unknown token: an attacker must not learn that this one was valid.
    expect(await response.json()).toEqual(await problemResponse(unauthorized(), 7).json());
  });
});

describe("a bug as a response", () => {
  it("reveals only the id of the log line", async () => {
    const response = bugResponse("abc-123");
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ status: 500, code: "internal", request_id: "abc-123" });
  });
});
