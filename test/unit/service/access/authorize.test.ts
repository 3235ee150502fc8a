import { describe, expect, it } from "vitest";

import type { Config } from "../../../../src/config/schema.ts";
import { authorize } from "../../../../src/service/access/authorize.ts";
import type { Secrets } from "../../../../src/service/host.ts";
import { Problem } from "../../../../src/service/response/problem.ts";
import { Service } from "../../../../src/service/service.ts";
import { jwtSecret, tokenOf } from "../../../support/jwt.ts";
import { MemoryHost } from "../../../support/service/memory-host.ts";

type Words = readonly Config["auth"]["subscribe"][number][];

interface Case {
  readonly accepts?: Words;
  readonly secrets?: Secrets;
  readonly headers?: Readonly<Record<string, string>>;
  readonly origins?: readonly string[];
}

const STATIC: Case = { accepts: ["token"], secrets: { SUBSCRIBE_TOKEN: "one,two" } };
const JWT: Case = { accepts: ["jwt"], secrets: { JWT_SECRET: jwtSecret } };

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

/** Authorizes a subscriber. Returns the principal, or the code of the refusal. */
async function outcomeOf({ accepts = ["public"], secrets = {}, headers = {}, origins = [] }: Case) {
  const config = { auth: { subscribe: accepts }, cors: { allowed_origins: origins } };
  const service = new Service(new MemoryHost({ config, secrets }));
  const request = new Request("https://sse.example.com/api/events");
  // `Request` in Node drops Cookie and Origin, as a browser does. A server receives them.
  Object.defineProperty(request, "headers", { value: new Headers(headers) });
  try {
    return { ...(await authorize(request, service, "subscribe")), isProven: service.proven.has(request) };
  } catch (error) {
    if (error instanceof Problem) {
      return service.proven.has(request) ? `${error.code}, and yet proven` : error.code;
    }
    throw error;
  }
}

describe("a public group of routes", () => {
  it("accepts every request, and ignores credentials", async () => {
    expect(await outcomeOf({ headers: bearer("wrong") })).toEqual({
      subject: null,
      grant: {},
      endsAt: null,
      isProven: false,
    });
  });
});

describe("a group that accepts a static token", () => {
  it.each([
    ["one", "SUBSCRIBE_TOKEN 0"],
    ["two", "SUBSCRIBE_TOKEN 1"],
  ])("accepts %s as a subject of its own with a full grant", async (token, subject) => {
    const principal = { subject, grant: {}, endsAt: null, isProven: true };
    expect(await outcomeOf({ ...STATIC, headers: bearer(token) })).toEqual(principal);
  });

  it.each<[Record<string, string>]>([
    [{}],
    [bearer("wrong")],
    [bearer("one,two")],
    [{ Authorization: "Basic one" }],
    [{ Authorization: "", Cookie: "__Host-edge_sse=one" }],
  ])("refuses %j", async (headers) => {
    expect(await outcomeOf({ ...STATIC, headers })).toBe("unauthorized");
  });

  it.each<[Secrets]>([[{}], [{ SUBSCRIBE_TOKEN: "" }], [{ SUBSCRIBE_TOKEN: " , " }]])(
    "is closed with the secrets %j",
    async (secrets) => {
      expect(await outcomeOf({ accepts: ["token"], secrets, headers: bearer("one") })).toBe("not_configured");
    },
  );

  it("accepts the token in a cookie, from an allowed origin only", async () => {
    const Cookie = "__Host-edge_sse=one";
    const origins = ["https://app.example.com"];
    const from = (Origin: string): Promise<unknown> =>
      outcomeOf({ ...STATIC, origins, headers: { Cookie, Origin } });
    expect(await from("https://app.example.com")).toMatchObject({ subject: "SUBSCRIBE_TOKEN 0" });
    expect(await from("https://evil.example.com")).toBe("origin_not_allowed");
  });
});

describe("a group that accepts a JWT", () => {
  it("accepts the token with its subject, its grant and its expiry", async () => {
    const exp = Math.floor(Date.now() / 1_000) + 600;
    const token = await tokenOf({ sub: "alice", exp, edge_sse: { subscribe: { channels: ["a"] } } });
    expect(await outcomeOf({ ...JWT, headers: bearer(token) })).toMatchObject({
      grant: { channels: ["a"] },
      isProven: true,
    });
  });

  it("answers forbidden for a valid token without a grant here, and unauthorized for an invalid one", async () => {
    const elsewhere = await tokenOf({ sub: "alice", edge_sse: { publish: {} } });
    const forged = await tokenOf({ sub: "alice" }, "another-secret-of-32-bytes-and-more");
    expect(await outcomeOf({ ...JWT, headers: bearer(elsewhere) })).toBe("forbidden");
    expect(await outcomeOf({ ...JWT, headers: bearer(forged) })).toBe("unauthorized");
  });

  it("is closed without a key, and with a key that is too short", async () => {
    for (const secrets of [{}, { JWT_SECRET: "short" }]) {
      expect(await outcomeOf({ ...JWT, secrets, headers: bearer(await tokenOf()) })).toBe("not_configured");
    }
  });
});
