import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { tokenOf, jwtSecret } from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";

const subscribeToken = "subscribe-token-of-the-tests";
const name = "__Host-edge_sse";
const ours = "https://app.example.com";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      auth: {
        subscribe: ["token", "jwt"],
        publish: ["token", "jwt"],
        admin: ["token", "jwt"],
        metrics: "public",
      },
      cors: { allowed_origins: [ours, "https://*.apps.example.com"] },
    },
    env: { SUBSCRIBE_TOKEN: subscribeToken, JWT_SECRET: jwtSecret },
  });
});

/** No token is in the log, and no request ran into a bug. */
function expectCleanLog(): void {
  expect(service.output).toContain('"event":');
  for (const text of [subscribeToken, "eyJ", "request_failed"]) {
    expect(service.output).not.toContain(text);
  }
}

afterEach(expectCleanLog);

afterAll(async () => {
  await service.stop();
  expectCleanLog();
});

const good = `${name}=${subscribeToken}`;

/** Over a socket of its own: `fetch` sends some of these headers as it likes. */
async function ask(
  headers: Readonly<Record<string, string>>,
  method = "GET",
  path = "/api/history",
): Promise<{ status: number; code: string | null }> {
  const answer = await service.raw(path, { method, headers: { ...headers, Connection: "close" } });
  await answer.untilClosed();
  return { status: answer.status, code: answer.status >= 400 ? (await problemOf(answer)).code : null };
}

const letIn = { status: 200, code: null };
const unauthorized = { status: 401, code: "unauthorized" };
const notThatOrigin = { status: 403, code: "origin_not_allowed" };

describe("A cookie is accepted", () => {
  it.each<[what: string, headers: Record<string, string>]>([
    ["of a listed page", { Origin: ours }],
    ["of a listed subdomain", { Origin: "https://a.apps.example.com" }],
    ["of a listed page of another site", { Origin: ours, "Sec-Fetch-Site": "cross-site" }],
    ["of our own page, which sends no Origin", { "Sec-Fetch-Site": "same-origin" }],
    ["by hand, from the address bar", { "Sec-Fetch-Site": "none" }],
  ])("in a GET %s", async (_what, headers) => {
    expect(await ask({ Cookie: good, ...headers })).toEqual(letIn);
  });

  it("among other cookies", async () => {
    const Cookie = `a=b; ${name}x=wrong; x${name}=wrong;${good};  edge_sse=wrong`;
    expect(await ask({ Cookie, "Sec-Fetch-Site": "same-origin" })).toEqual(letIn);
  });
});

describe("A cookie that a foreign page makes the browser send", () => {
  const elsewhere: [what: string, headers: Record<string, string>][] = [
    ["an origin that is not listed", { Origin: "https://evil.com" }],
    ["one that looks like ours", { Origin: "https://app.example.com.evil.com" }],
    ["a port of ours", { Origin: "https://app.example.com:444" }],
    ["no origin that it would tell", { Origin: "null" }],
    ["an empty origin", { Origin: "" }],
    [
      "an origin that is not listed and claims to be the same",
      { Origin: "https://evil.com", "Sec-Fetch-Site": "same-origin" },
    ],
    ["a null origin that claims to be the same", { Origin: "null", "Sec-Fetch-Site": "same-origin" }],
    ["another site", { "Sec-Fetch-Site": "cross-site" }],
    ["another subdomain", { "Sec-Fetch-Site": "same-site" }],
    ["a site in upper case", { "Sec-Fetch-Site": "SAME-ORIGIN" }],
    ["two sites", { "Sec-Fetch-Site": "same-origin, cross-site" }],
    ["a browser that says nothing", {}],
    ["a page that only refers to ours", { Referer: `${ours}/` }],
  ];

  it.each(elsewhere)("does not authorize a request from %s", async (_what, headers) => {
    expect(await ask({ Cookie: good, ...headers })).toEqual(notThatOrigin);
    expect(await ask({ Cookie: good, ...headers }, "GET", "/api/events")).toEqual(notThatOrigin);
  });

  it.each([...elsewhere, ["the address bar", { "Sec-Fetch-Site": "none" }] as const])(
    "changes nothing from %s",
    async (_what, headers) => {
      const Cookie = `${name}=${await tokenOf({ edge_sse: { publish: {}, subscribe: {}, admin: true } })}`;
      for (const [method, path] of [
        ["POST", "/api/publish"],
        ["POST", "/api/tickets"],
        ["POST", "/api/admin/drain"],
        ["DELETE", "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f"],
      ] as const) {
        expect(await ask({ Cookie, ...headers, "Content-Length": "0" }, method, path)).toEqual(notThatOrigin);
      }
      expect((await service.health()).sse["last_event_id"]).toBe("0");
    },
  );

  it("does not authorize another method either", async () => {
    const headers = {
      Cookie: good,
      "Sec-Fetch-Site": "none",
      "X-HTTP-Method-Override": "GET",
      "Content-Length": "0",
    };
    expect(await ask(headers, "POST", "/api/tickets")).toEqual(notThatOrigin);
  });
});

describe("A cookie that an attacker has planted", () => {
  it.each<[what: string, cookie: string]>([
    ["beside the good one", `${good}; ${name}=planted`],
    ["before the good one", `${name}=planted; ${good}`],
    ["that is the same again", `${good}; ${good}`],
    ["that is empty, beside the good one", `${name}=; ${good}`],
    ["that is empty", `${name}=`],
    ["without a value", name],
    ["under a name without the prefix", `edge_sse=${subscribeToken}`],
    ["under the prefix of a weaker kind", `__Secure-edge_sse=${subscribeToken}`],
    ["under its name in another case", `__host-edge_sse=${subscribeToken}`],
    ["in quotes", `${name}="${subscribeToken}"`],
    ["that is percent-encoded", `${name}=${subscribeToken.replaceAll("-", "%2D")}`],
    ["after a comma", `a=b, ${good}`],
    ["with the scheme of the header", `${name}=Bearer ${subscribeToken}`],
    ["with two tokens", `${name}=${subscribeToken},${subscribeToken}`],
    ["with what begins like the token", `${name}=${subscribeToken.slice(0, -1)}`],
    ["of 8 KiB", `${name}=${"x".repeat(8_192)}`],
  ])("%s is refused", async (_what, Cookie) => {
    expect(await ask({ Cookie, "Sec-Fetch-Site": "same-origin" })).toEqual(unauthorized);
  });

  it("in a second header is refused", async () => {
    const bytes =
      "GET /api/history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n" +
      `Cookie: ${good}\r\nCookie: ${name}=planted\r\n\r\n`;
    const answer = await service.raw("/", { bytes });
    expect(answer.status).toBe(401);
  });
});

describe("The Authorization header wins over the cookie", () => {
  it.each([
    "Bearer wrong",
    "Bearer",
    "Bearer ",
    "Basic dTpw",
    "Digest x",
    "Bearer null",
    subscribeToken,
    `Bearer${subscribeToken}`,
  ])("so a valid cookie does not rescue %j", async (Authorization) => {
    expect(await ask({ Authorization, Cookie: good, "Sec-Fetch-Site": "same-origin" })).toEqual(unauthorized);
  });

  it("so a bad cookie, or a page of another origin, does not spoil a valid header", async () => {
    const Authorization = `Bearer ${subscribeToken}`;
    expect(await ask({ Authorization, Cookie: `${name}=wrong`, Origin: "https://evil.com" })).toEqual(letIn);
  });

  it("and a token is accepted nowhere else", async () => {
    const names = [
      "Proxy-Authorization",
      "X-Authorization",
      "X-Api-Key",
      "Token",
      "X-Forwarded-Authorization",
      "Sec-WebSocket-Protocol",
    ];
    for (const header of names) {
      expect(await ask({ [header]: `Bearer ${subscribeToken}` })).toEqual(unauthorized);
    }
    for (const parameter of ["token", "access_token", "authorization", "jwt", "ticket"]) {
      const { status } = await ask({}, "GET", `/api/history?${parameter}=${subscribeToken}`);
      expect(status).toBe(401);
    }
  });
});
