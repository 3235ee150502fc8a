import { exportSPKI, type JWK } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import {
  createIssuer,
  inSeconds,
  jwtSecret,
  part,
  reading,
  signed,
  tokenOf,
  type Claims,
  type Issuer,
} from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";

const audience = "edge-sse-of-the-tests";
const issuerName = "https://issuer.example.com";
const mine: Claims = { ...reading, aud: audience, iss: issuerName };

let ours: Issuer;
let bySecret: Service;
let byKeySet: Service;
let unconfigured: Service;

beforeAll(async () => {
  ours = await createIssuer("RS256", "ours");
  const channels = { allowed: ["*"] };
  const { alg: _, ...publicJwk } = ours.publicJwk;
  [bySecret, byKeySet, unconfigured] = await Promise.all([
    startService({
      config: {
        channels,
        auth: { subscribe: "jwt", admin: ["token", "jwt"], jwt: { audience, issuer: issuerName } },
      },
      env: { JWT_SECRET: `${jwtSecret},${jwtSecret}-the-next-one` },
    }),
    startService({
      config: {
        channels,
        auth: {
          subscribe: "jwt",
          jwt: { algorithm: "RS256", jwks: { keys: [ours.publicJwk, { ...publicJwk, kid: "any-alg" }] } },
        },
      },
      env: { JWT_SECRET: jwtSecret },
    }),
    startService({
      config: { channels, auth: { subscribe: "jwt" } },
      env: { JWT_SECRET: "31-bytes-are-one-less-than-due." },
    }),
  ]);
});

/** No token and no secret is in a log, and no request ran into a bug. */
function expectCleanLogs(): void {
  for (const { output } of [bySecret, byKeySet, unconfigured]) {
    expect(output).toContain('"event":');
    for (const text of ["eyJ", jwtSecret, "request_failed"]) {
      expect(output).not.toContain(text);
    }
  }
}

afterEach(expectCleanLogs);

afterAll(async () => {
  await Promise.all([bySecret, byKeySet, unconfigured].map((service) => service.stop()));
  expectCleanLogs();
});

function read(service: Service, token: string): Promise<Response> {
  return service.fetch("/api/history", { headers: { Authorization: `Bearer ${token}` } });
}

/** The same for every mistake, so that it does not reveal the mistake. */
const refusal = {
  challenge: 'Bearer realm="edge-sse"',
  type: "urn:edge-sse:problem:unauthorized",
  title: "Unauthorized",
  status: 401,
  detail: "A valid token is needed: Authorization: Bearer <token>.",
  code: "unauthorized",
};

async function refusalOf(service: Service, token: string): Promise<object> {
  const answer = await read(service, token);
  return { challenge: answer.headers.get("www-authenticate"), ...(await problemOf(answer)) };
}

/** The three parts of a token. */
async function partsOf(claims: Claims = mine): Promise<[header: string, payload: string, signature: string]> {
  const [header = "", payload = "", signature = ""] = (await tokenOf(claims)).split(".");
  return [header, payload, signature];
}

describe("A genuine token", () => {
  it("is accepted with the secret, with the next secret, and with the key set", async () => {
    expect((await read(bySecret, await tokenOf(mine))).status).toBe(200);
    expect((await read(bySecret, await tokenOf(mine, `${jwtSecret}-the-next-one`))).status).toBe(200);
    expect((await read(byKeySet, await ours.token())).status).toBe(200);
  });

  // Functions: the service takes a while to start, and a skew is short.
  it.each<[what: string, claims: () => Claims]>([
    ["one of several audiences", () => ({ aud: ["another", audience] })],
    ["an end within the skew of clocks", () => ({ exp: inSeconds(-2) })],
    ["a beginning within the skew of clocks", () => ({ nbf: inSeconds(3) })],
    ["unknown claims", () => ({ role: "admin", __proto__: { admin: true } })],
  ])("is accepted with %s", async (_what, claims) => {
    expect((await read(bySecret, await tokenOf({ ...mine, ...claims() }))).status).toBe(200);
  });
});

describe("A token without a genuine signature is refused", () => {
  const spellings = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "none ",
    "",
    " ",
    "null",
    "HS256 ",
    "hs256",
    "HS384",
    "HS512",
    "HS1",
    "RS256",
    "ES256",
    "EdDSA",
    "Ed25519",
    "PS256",
    "dir",
    "A128KW",
  ];
  it.each(spellings)("when it says that its algorithm is %j", async (alg) => {
    const [, payload, signature] = await partsOf();
    const header = part({ alg, typ: "JWT" });
    expect(await refusalOf(bySecret, `${header}.${payload}.`)).toEqual(refusal);
    expect(await refusalOf(bySecret, `${header}.${payload}.${signature}`)).toEqual(refusal);
    expect(await refusalOf(byKeySet, `${header}.${payload}.${signature}`)).toEqual(refusal);
  });

  it.each<[what: string, alg: unknown]>([
    ["a list", ["HS256"]],
    ["null", null],
    ["a number", 256],
    ["an object", { toString: "HS256" }],
    ["missing", undefined],
  ])("when its algorithm is %s", async (_what, alg) => {
    const [, payload, signature] = await partsOf();
    expect(await refusalOf(bySecret, `${part({ alg, typ: "JWT" })}.${payload}.${signature}`)).toEqual(
      refusal,
    );
  });

  it.each<[what: string, forge: (header: string, payload: string, signature: string) => string]>([
    ["the signature is stripped", (header, payload) => `${header}.${payload}.`],
    ["the signature and its dot are", (header, payload) => `${header}.${payload}`],
    ["only a header is left", (header) => `${header}..`],
    ["only the signature is", (_header, _payload, signature) => `..${signature}`],
    ["it is two dots", () => ".."],
    ["it is four dots", () => "...."],
    [
      "it has five parts, as a JWE",
      (header, payload, signature) => `${header}.${payload}.${signature}.${payload}.${signature}`,
    ],
    ["it comes twice", (...parts) => `${parts.join(".")}.${parts.join(".")}`],
    [
      "another payload is put in",
      (header, _payload, signature) => `${header}.${part({ ...mine, exp: 9e9 })}.${signature}`,
    ],
    [
      "another header is put in",
      (_header, payload, signature) => `${part({ alg: "HS256", kid: "x" })}.${payload}.${signature}`,
    ],
    [
      "one character of the signature differs",
      (header, payload, signature) =>
        `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
    ],
    [
      "the signature is cut",
      (header, payload, signature) => `${header}.${payload}.${signature.slice(0, -4)}`,
    ],
    ["the signature is longer", (header, payload, signature) => `${header}.${payload}.${signature}AAAA`],
    ["the signature is all zeros", (header, payload) => `${header}.${payload}.${part("\u0000".repeat(32))}`],
    ["a blank is inside", (header, payload, signature) => `${header}. ${payload}.${signature}`],
    ["a tab is inside", (header, payload, signature) => `${header}.${payload}\t.${signature}`],
    ["it is in quotes", (...parts) => `"${parts.join(".")}"`],
    ["another one follows after a comma", (...parts) => `${parts.join(".")},${parts.join(".")}`],
    ["it says Bearer twice", (...parts) => `Bearer ${parts.join(".")}`],
    ["it is in lower case", (...parts) => parts.join(".").toLowerCase()],
    [
      "it has letters of another alphabet",
      (header, payload, signature) => `${header}.${payload}.${signature.slice(1)}\u00e9`,
    ],
    ["it is the base64 of itself", (...parts) => part(parts.join("."))],
    [
      "its header is no JSON",
      (_header, payload, signature) => `${part("{alg:HS256}")}.${payload}.${signature}`,
    ],
    [
      "its header is a list",
      (_header, payload, signature) => `${part([{ alg: "HS256" }])}.${payload}.${signature}`,
    ],
    ["its header is null", (_header, payload, signature) => `${part("null")}.${payload}.${signature}`],
    [
      "its header names two algorithms",
      (_header, payload) => `${part('{"alg":"HS256","alg":"none"}')}.${payload}.`,
    ],
    [
      "its header sets the algorithm of all objects",
      (_header, payload) => `${part('{"__proto__":{"alg":"none"}}')}.${payload}.`,
    ],
    ["it is the secret itself", () => jwtSecret],
    ["it is an empty object", () => "{}"],
  ])("when %s", async (_what, forge) => {
    expect(await refusalOf(bySecret, forge(...(await partsOf())))).toEqual(refusal);
  });

  it("when its signature is that of another token", async () => {
    const [header, , signature] = await partsOf();
    const [, payload] = await partsOf({ ...mine, edge_sse: { admin: true } });
    expect(await refusalOf(bySecret, `${header}.${payload}.${signature}`)).toEqual(refusal);
  });

  it.each([
    "",
    "a",
    "secret",
    "undefined",
    "null",
    `${jwtSecret} `,
    jwtSecret.toUpperCase(),
    `${jwtSecret},${jwtSecret}-the-next-one`,
  ])("when it is signed with the guessed secret %j", async (secret) => {
    const key = secret === "" ? "\u0000".repeat(32) : secret;
    expect(await refusalOf(bySecret, await tokenOf(mine, key))).toEqual(refusal);
  });
});

describe("A public key is not a secret", () => {
  const texts: [what: string, text: (jwk: JWK, pem: string) => string][] = [
    ["its PEM", (_jwk, pem) => pem],
    ["its PEM without the last line end", (_jwk, pem) => pem.trim()],
    ["its PEM in one line", (_jwk, pem) => pem.replaceAll(/-----.*?-----|\s/g, "")],
    ["its JWK", (jwk) => JSON.stringify(jwk)],
    ["its modulus", ({ n = "" }) => n],
    ["its id", ({ kid = "" }) => kid.padEnd(32, "\u0000")],
    ["the secret of another algorithm", () => jwtSecret],
  ];

  it.each(texts)("that signs for HS256 where RS256 is pinned: %s", async (_what, text) => {
    const secret = text(ours.publicJwk, await exportSPKI(ours.publicKey));
    for (const kid of ["ours", "any-alg", undefined]) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        expect(
          await refusalOf(
            byKeySet,
            await signed(reading, { alg, kid }, new TextEncoder().encode(secret.padEnd(64, "\u0000"))),
          ),
        ).toEqual(refusal);
        expect(
          await refusalOf(
            byKeySet,
            await signed(reading, { alg: "HS256", kid }, new TextEncoder().encode(secret)),
          ),
        ).toEqual(refusal);
      }
    }
  });

  it("of another issuer, whatever claims its token has", async () => {
    const stranger = await createIssuer("RS256", "ours");
    const { publicJwk } = stranger;
    const headers: Claims[] = [
      {},
      { jwk: publicJwk },
      { jku: "https://attacker.example.com/jwks.json" },
      { jku: `${byKeySet.url}/jwks.json` },
      { x5u: "https://attacker.example.com/cert.pem" },
      { x5c: ["MIIB"] },
      { x5t: "x", "x5t#S256": "x" },
      { kid: "any-alg" },
      { kid: undefined },
      { kid: undefined, jwk: publicJwk },
    ];
    for (const header of headers) {
      expect(await refusalOf(byKeySet, await stranger.token(reading, header))).toEqual(refusal);
    }
  });

  it.each<[what: string, kid: unknown]>([
    ["a path", "../../../../dev/null"],
    ["a file", "file:///etc/passwd"],
    ["SQL", "x' UNION SELECT 'secret' --"],
    ["a command", "ours|cat /etc/passwd"],
    ["a URL", "https://attacker.example.com/jwks.json"],
    ["line ends", "ours\r\nX-Injected: 1"],
    ["NUL", "ours\u0000"],
    ["huge", "k".repeat(4_000)],
    ["empty", ""],
    ["a list", ["ours"]],
    ["a number", 0],
    ["null", null],
    ["an object", { kid: "ours" }],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["in upper case", "OURS"],
  ])("that a token names by a kid that is %s", async (_what, kid) => {
    expect(await refusalOf(byKeySet, await ours.token(reading, { kid }))).toEqual(refusal);
    expect(
      await refusalOf(byKeySet, `${part({ alg: "RS256", kid })}.${part(reading)}.${part("x".repeat(256))}`),
    ).toEqual(refusal);
  });
});

describe("A genuine token for another time or another service is refused", () => {
  it.each<[what: string, claims: Claims]>([
    ["is over", { exp: inSeconds(-60) }],
    ["was over before there were clocks", { exp: 0 }],
    ["has an end before 1970", { exp: -1 }],
    ["has no end", { exp: undefined }],
    ["has an end that is null", { exp: null }],
    ["has an end that is a text", { exp: String(inSeconds(3_600)) }],
    ["has an end that is a date", { exp: new Date(Date.now() + 3_600_000).toISOString() }],
    ["has an end that is a list", { exp: [inSeconds(3_600)] }],
    ["has an end that is no number", { exp: Number.NaN }],
    ["has an end that is true", { exp: true }],
    ["has an end that is an object", { exp: { valueOf: inSeconds(3_600) } }],
    ["has not begun", { nbf: inSeconds(3_600) }],
    ["begins at a text", { nbf: "0" }],
    ["is for another audience", { aud: "another" }],
    ["is for no audience", { aud: undefined }],
    ["is for several others", { aud: ["another", "a third"] }],
    ["is for an empty list", { aud: [] }],
    ["is for a list in a list", { aud: [[audience]] }],
    ["is for an object", { aud: { [audience]: true } }],
    ["is for our name in upper case", { aud: audience.toUpperCase() }],
    ["is for what begins like our name", { aud: `${audience}.example.com` }],
    ["is from another issuer", { iss: "https://attacker.example.com" }],
    ["is from no issuer", { iss: undefined }],
    ["is from whom begins like our issuer", { iss: `${issuerName}.evil.com` }],
    ["is from a list that our issuer is in", { iss: [issuerName, "another"] }],
  ])("when it %s", async (_what, claims) => {
    const payload = part({ exp: inSeconds(3_600), ...mine, ...claims });
    expect(await refusalOf(bySecret, await rawToken(payload))).toEqual(refusal);
  });

  it("when it names an audience, and this deployment has none", async () => {
    expect(await refusalOf(byKeySet, await ours.token({ ...reading, aud: "another" }))).toEqual(refusal);
  });

  it.each([
    ["has two ends", `{"exp":9999999999,"exp":1,"aud":"${audience}","iss":"${issuerName}"}`],
    ["is a list", `[{"exp":9999999999}]`],
    ["is null", "null"],
    ["is no JSON", "exp=9999999999"],
    ["is nested 900 times", `${'{"a":'.repeat(900)}1${"}".repeat(900)}`],
    [
      "gives all objects an end",
      `{"__proto__":{"exp":9999999999,"aud":"${audience}","iss":"${issuerName}"}}`,
    ],
  ])("when the signed text %s", async (_what, text) => {
    expect(await refusalOf(bySecret, await rawToken(part(text)))).toEqual(refusal);
  });

  it("when it is huge", async () => {
    expect(await refusalOf(bySecret, await tokenOf({ ...mine, filler: "x".repeat(10_000) }))).toEqual(
      refusal,
    );
    expect(await refusalOf(bySecret, `${"A".repeat(5_000)}.${"A".repeat(5_000)}.A`)).toEqual(refusal);
    // Far beyond that it is not even taken for a token.
    expect(await refusalOf(bySecret, `${"A".repeat(20_000)}.${"A".repeat(20_000)}.A`)).toMatchObject({
      code: "headers_too_large",
    });
  });

  it.each<[what: string, header: Claims]>([
    ["an unknown critical extension", { crit: ["x-unknown"], "x-unknown": 1 }],
    ["a payload that is not encoded", { crit: ["b64"], b64: false }],
    ["an empty list of critical extensions", { crit: [] }],
    ["critical extensions that are no list", { crit: "b64" }],
  ])("when its header asks for %s", async (_what, header) => {
    expect(
      await refusalOf(
        bySecret,
        await rawToken(part({ exp: inSeconds(3_600), ...mine }), { alg: "HS256", ...header }),
      ),
    ).toEqual(refusal);
  });
});

describe("A token whose claim is malformed grants nothing", () => {
  const claims: [what: string, claim: unknown][] = [
    ["missing", undefined],
    ["null", null],
    ["true", true],
    ["a star", "*"],
    ["a list", [{ subscribe: {} }]],
    ["empty", {}],
    ["of another group", { publish: {}, admin: true, metrics: true }],
    ["of a group that is true", { subscribe: true }],
    ["of a group that is null", { subscribe: null }],
    ["of a group that is a list", { subscribe: [] }],
    ["of a group in another case", { Subscribe: {} }],
    ["with an unknown group", { subscribe: {}, superuser: true }],
    ["with channel instead of channels", { subscribe: { channel: ["a"] } }],
    ["with a list that is a text", { subscribe: { channels: "*" } }],
    ["with a list that is null", { subscribe: { channels: null } }],
    ["with a list that is an object", { subscribe: { channels: { 0: "a", length: 1 } } }],
    ["with a list of 101", { subscribe: { channels: Array.from({ length: 101 }, (_, n) => `c${n}`) } }],
    ["with a list in a list", { subscribe: { channels: [["a"]] } }],
    ["with a number as channel", { subscribe: { channels: [7] } }],
    ["with null as type", { subscribe: { types: [null] } }],
    ["with an empty entry", { subscribe: { channels: [""] } }],
    ["with an entry of 129 characters", { subscribe: { project_id: ["p".repeat(129)] } }],
    ["with a fraction as project", { subscribe: { project_id: [0.5] } }],
    ["with a project beyond the safe integers", { subscribe: { project_id: [2 ** 53] } }],
    ["with admin as a number", { subscribe: {}, admin: 1 }],
    ["with admin as a text", { subscribe: {}, admin: "true" }],
    ["with the constructor of all", { subscribe: { constructor: [] } }],
    ["with what all objects have", { subscribe: { hasOwnProperty: ["a"] } }],
  ];

  it.each(claims)("when it is %s: 403", async (_what, claim) => {
    const answer = await read(bySecret, await tokenOf({ ...mine, edge_sse: claim }));
    expect(await problemOf(answer)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it.each([
    ["a group by the prototype", '{"__proto__":{"subscribe":{}}}'],
    ["a list by the prototype", '{"subscribe":{"__proto__":{"channels":["a"]}}}'],
    ["the claim itself by the prototype", null],
  ])("when it gives %s: 403", async (_what, claim) => {
    const exp = inSeconds(3_600);
    const payload =
      claim === null
        ? `{"__proto__":{"edge_sse":{"subscribe":{}}},"exp":${exp},"aud":"${audience}","iss":"${issuerName}"}`
        : `{"edge_sse":${claim},"exp":${exp},"aud":"${audience}","iss":"${issuerName}"}`;
    const answer = await read(bySecret, await rawToken(part(payload)));
    expect(await problemOf(answer)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it("and opens no administration route", async () => {
    for (const claim of [
      { subscribe: {} },
      { publish: {} },
      { metrics: true },
      { admin: false },
      { admin: "yes" },
    ]) {
      const token = await tokenOf({ ...mine, edge_sse: claim });
      const answer = await bySecret.fetch("/api/admin/clients", {
        headers: { Authorization: `Bearer ${token}` },
      });
      expect(await problemOf(answer)).toMatchObject({ status: 403, code: "forbidden" });
    }
  });
});

describe("A deployment whose secret is too short", () => {
  it("is closed, even to a token that is signed with it", async () => {
    const token = await tokenOf(reading, "31-bytes-are-one-less-than-due.");
    for (const each of [token, "", "x"]) {
      const answer = await read(unconfigured, each);
      expect(await problemOf(answer)).toMatchObject({ status: 503, code: "not_configured" });
    }
  });
});

/** A genuine signature over any payload under any header, for what `jose` would not sign. */
async function rawToken(payload: string, header: Claims = { alg: "HS256" }): Promise<string> {
  const bytes = new TextEncoder().encode(jwtSecret);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const input = `${part(header)}.${payload}`;
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(input));
  return `${input}.${Buffer.from(signature).toString("base64url")}`;
}
