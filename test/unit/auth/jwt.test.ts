import { createHmac } from "node:crypto";

import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createJwtVerifier, type VerifiedToken } from "../../../src/auth/jwt.ts";
import type { KeyHost } from "../../../src/auth/keys.ts";
import type { JwtConfig } from "../../../src/config/schema.ts";
import { createSigner, forged, hs256, jwtConfig, NOW, NOW_SECONDS, SECRET } from "./tokens.ts";

const HOST: KeyHost = {
  fetch: () => Promise.reject(new Error("nothing is fetched here")),
  keepAlive: () => undefined,
};

function verify(
  token: string,
  changes: Partial<JwtConfig> = {},
  secret: string | undefined = SECRET,
): Promise<VerifiedToken | null> {
  return createJwtVerifier(jwtConfig(changes), [], secret, HOST).verify(token);
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a token of HS256", () => {
  it("gives its owner, its grants and its end", async () => {
    const token = await hs256({ iss: "https://issuer.test", edge_sse: { subscribe: { channels: ["a"] } } });
    await expect(verify(token)).resolves.toEqual({
      subject: JSON.stringify({ iss: "https://issuer.test", sub: "alice" }),
      grants: { subscribe: { channels: ["a"] } },
      endsAt: NOW + 60_000,
    });
  });

  it("is valid if any secret of a list has signed it", async () => {
    const [newer, older] = ["n".repeat(32), "o".repeat(32)];
    const secret = `${newer}, ${older}`;
    await expect(verify(await hs256({}, newer), {}, secret)).resolves.not.toBeNull();
    await expect(verify(await hs256({}, older), {}, secret)).resolves.not.toBeNull();
    await expect(verify(await hs256({}, "x".repeat(32)), {}, secret)).resolves.toBeNull();
    await expect(verify(await hs256({}, older), {}, newer)).resolves.toBeNull();
    await expect(verify(await hs256({}, secret), {}, secret)).resolves.toBeNull();
  });

  it.each([undefined, "", ",", "x".repeat(31), `${"x".repeat(31)},${"y".repeat(31)}`])(
    "has no key if the secret is too short: %j",
    async (secret) => {
      const verifier = createJwtVerifier(jwtConfig(), [], secret, HOST);
      expect(verifier.isConfigured).toBe(false);
      await expect(verifier.verify(await hs256({}, secret || "x"))).resolves.toBeNull();
    },
  );

  it("needs a secret with enough bytes, not characters", () => {
    expect(createJwtVerifier(jwtConfig(), [], "ä".repeat(16), HOST).isConfigured).toBe(true);
    expect(createJwtVerifier(jwtConfig(), [], "ä".repeat(15), HOST).isConfigured).toBe(false);
  });

  it("is not verified with the secrets of a list that are too short", async () => {
    const secret = `short,${SECRET}`;
    await expect(verify(await hs256(), {}, secret)).resolves.not.toBeNull();
    await expect(verify(await hs256({}, "short"), {}, secret)).resolves.toBeNull();
  });

  it.each([
    ["", "nothing"],
    ["abc", "no token"],
    ["a.b", "two parts"],
    ["..", "empty parts"],
    ["a.b.c.d.e", "an encrypted one"],
    ["\u0000.\u0000.\u0000", "no text"],
    [forged({}, {}), "no algorithm"],
  ])("is not valid as %j: %s", async (token) => {
    await expect(verify(token)).resolves.toBeNull();
  });

  it("is not valid after it was changed, cut or made longer", async () => {
    const token = await hs256();
    const [header = "", payload = "", signature = ""] = token.split(".");
    const others = [
      forged({ alg: "HS256" }, { sub: "bob", exp: NOW_SECONDS + 60 }, signature),
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
      `${header}.${payload}.${signature}AA`,
      `${header}.${payload}.${signature}.`,
      `${token} `,
      ` ${token}`,
      `${token}\n`,
    ];
    for (const other of others) {
      await expect(verify(other)).resolves.toBeNull();
    }
  });

  it("is refused without parsing if it has more than 8,192 characters", async () => {
    const long = await hs256({ pad: "x".repeat(8_000) });
    expect(long.length).toBeGreaterThan(8_192);
    await expect(verify(long)).resolves.toBeNull();
    const short = await hs256({ pad: "x".repeat(5_000) });
    await expect(verify(short)).resolves.not.toBeNull();
  });

  it.each([
    [{ crit: ["exp"], exp: NOW_SECONDS + 60 }],
    [{ crit: ["b64"], b64: false }],
    [{ crit: [] }],
    [{ crit: ["unknown"], unknown: true }],
  ])("is not valid with an unknown critical header: %j", async (header) => {
    const text = JSON.stringify({ alg: "HS256", ...header });
    const payload = JSON.stringify({ sub: "alice", exp: NOW_SECONDS + 60 });
    const input = [text, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
    const signature = createHmac("sha256", SECRET).update(input).digest("base64url");
    await expect(verify(`${input}.${signature}`)).resolves.toBeNull();
  });

  it.each([
    [{ kid: "../../etc/passwd" }],
    [{ kid: "' OR 1=1 --" }],
    [{ jku: "https://evil.test/keys" }],
    [{ x5u: "https://evil.test/keys" }],
    [{ jwk: { kty: "oct", k: "AAAA" } }],
  ])("is verified only with the secret, whatever its header says about a key: %j", async (header) => {
    await expect(verify(await hs256({}, SECRET, header))).resolves.not.toBeNull();
    await expect(verify(await hs256({}, "e".repeat(32), header))).resolves.toBeNull();
  });
});

describe("the algorithm of tokens", () => {
  it.each(["none", "None", "NONE", "nOnE", ""])("is never %j", async (alg) => {
    const payload = { sub: "alice", exp: NOW_SECONDS + 60 };
    await expect(verify(forged({ alg }, payload))).resolves.toBeNull();
    const { jwk } = await createSigner("ES256");
    const keySet = { algorithm: "ES256", jwks: { keys: [jwk] } } as Partial<JwtConfig>;
    await expect(verify(forged({ alg }, payload), keySet)).resolves.toBeNull();
  });

  it.each(["HS384", "HS512"])("is not %s if HS256 is pinned, even with the same secret", async (alg) => {
    const secret = "x".repeat(64);
    const token = await new SignJWT({ exp: NOW_SECONDS + 60 })
      .setProtectedHeader({ alg })
      .sign(new TextEncoder().encode(secret));
    await expect(verify(token, {}, secret)).resolves.toBeNull();
  });

  it.each(["RS256", "ES256", "EdDSA"] as const)("may be %s, with a key set", async (algorithm) => {
    const signer = await createSigner(algorithm);
    const changes = { algorithm, jwks: { keys: [signer.jwk] } } as Partial<JwtConfig>;
    await expect(verify(await signer.sign(), changes)).resolves.toMatchObject({ endsAt: NOW + 60_000 });
    const stranger = await createSigner(algorithm);
    await expect(verify(await stranger.sign(), changes)).resolves.toBeNull();
    await expect(verify(await hs256(), changes)).resolves.toBeNull();
  });

  it("cannot be confused: a public key does not become a secret for HS256", async () => {
    const { publicKey } = await generateKeyPair("RS256", { extractable: true });
    const jwk = await exportJWK(publicKey);
    const changes = { algorithm: "RS256", jwks: { keys: [jwk] } } as Partial<JwtConfig>;
    for (const secret of [await exportSPKI(publicKey), JSON.stringify(jwk), jwk.n ?? ""]) {
      const token = await hs256({}, secret);
      await expect(verify(token, changes)).resolves.toBeNull();
      // Not even if the public key was also set as the secret.
      await expect(verify(token, changes, secret)).resolves.toBeNull();
    }
  });

  it("picks the key of a set by its kid, and uses no other key", async () => {
    const [first, second] = [await createSigner("ES256", "first"), await createSigner("ES256", "second")];
    const changes = { algorithm: "ES256", jwks: { keys: [first.jwk, second.jwk] } } as Partial<JwtConfig>;
    await expect(verify(await first.sign(), changes)).resolves.not.toBeNull();
    await expect(verify(await second.sign(), changes)).resolves.not.toBeNull();
    await expect(verify(await first.sign({}, { kid: "second" }), changes)).resolves.toBeNull();
    await expect(verify(await first.sign({}, { kid: "third" }), changes)).resolves.toBeNull();
    // Two keys could have signed it, and the token does not say which.
    await expect(verify(await first.sign({}, { kid: undefined }), changes)).resolves.toBeNull();
  });

  it("does not use a key with another purpose", async () => {
    const signer = await createSigner("RS256");
    for (const change of [{ use: "enc" }, { alg: "RS512" }, { key_ops: ["sign"] }]) {
      const changes = { algorithm: "RS256", jwks: { keys: [{ ...signer.jwk, ...change }] } };
      await expect(verify(await signer.sign(), changes as Partial<JwtConfig>)).resolves.toBeNull();
    }
  });

  it("cannot be checked if the key set of the deployment is broken, and no token is accepted", async () => {
    const signer = await createSigner("RS256");
    const broken = { algorithm: "RS256", jwks: { keys: [{ ...signer.jwk, n: undefined }] } };
    await expect(verify(await signer.sign(), broken as Partial<JwtConfig>)).rejects.toThrow("key set");
  });

  it("does not use a key that comes with the token", async () => {
    const [ours, theirs] = [await createSigner("ES256"), await createSigner("ES256")];
    const changes = { algorithm: "ES256", jwks: { keys: [ours.jwk] } } as Partial<JwtConfig>;
    await expect(verify(await theirs.sign({}, { jwk: theirs.jwk }), changes)).resolves.toBeNull();
    await expect(importJWK(theirs.jwk)).resolves.toBeDefined();
  });
});

describe("the times of a token", () => {
  it.each<[string, object]>([
    ["no end", { exp: undefined }],
    ["an end that is a text", { exp: String(NOW_SECONDS + 60) }],
    ["an end that is null", { exp: null }],
    ["an end in the past", { exp: NOW_SECONDS - 60 }],
    ["a negative end", { exp: -1 }],
    ["an end in milliseconds before 1970", { exp: -NOW }],
    ["a start in the future", { nbf: NOW_SECONDS + 60 }],
    ["a start that is a text", { nbf: "0" }],
    ["an issue time that is a text", { iat: "0" }],
  ])("make a token invalid with %s", async (_, claims) => {
    await expect(verify(await rawHs256(claims))).resolves.toBeNull();
  });

  it.each([
    // [skew, seconds from exp to now, valid]
    [0, -1, true],
    [0, 0, false],
    [5, 0, true],
    [5, 4, true],
    [5, 5, false],
    [60, 59, true],
    [60, 60, false],
  ])("with a skew of %i s, %i s after its end: valid %s", async (skew, sinceEnd, isValid) => {
    const token = await hs256({ exp: NOW_SECONDS - sinceEnd });
    const verified = await verify(token, { clock_skew_seconds: skew });
    expect(verified !== null).toBe(isValid);
  });

  it.each([
    [0, 0, true],
    [0, 1, false],
    [5, 5, true],
    [5, 6, false],
  ])("with a skew of %i s, %i s before its start: valid %s", async (skew, untilStart, isValid) => {
    const token = await hs256({ nbf: NOW_SECONDS + untilStart });
    const verified = await verify(token, { clock_skew_seconds: skew });
    expect(verified !== null).toBe(isValid);
  });

  it("end a token at exp or, if it is used after exp, at the end of the tolerance", async () => {
    await expect(verify(await hs256({ exp: NOW_SECONDS + 1 }))).resolves.toMatchObject({
      endsAt: NOW + 1_000,
    });
    await expect(verify(await hs256({ exp: NOW_SECONDS }))).resolves.toMatchObject({ endsAt: NOW + 5_000 });
    await expect(verify(await hs256({ exp: NOW_SECONDS - 3 }))).resolves.toMatchObject({
      endsAt: NOW + 2_000,
    });
  });

  it("are whole milliseconds that a Date can represent, for any exp", async () => {
    for (const exp of [NOW_SECONDS + 0.123456, NOW_SECONDS + 1e-7, 1e15, 1e300, Number.MAX_VALUE]) {
      const { endsAt = Number.NaN } = (await verify(await hs256({ exp }))) ?? {};
      expect(Number.isSafeInteger(endsAt)).toBe(true);
      expect(new Date(endsAt).toISOString()).toMatch(/Z$/);
      expect(endsAt).toBeGreaterThanOrEqual(NOW);
    }
  });
});

describe("the audience and the issuer of a token", () => {
  it.each<[string | undefined, unknown, boolean]>([
    [undefined, undefined, true],
    // The token has an audience, but the deployment has none.
    [undefined, "edge-sse", false],
    [undefined, ["edge-sse"], false],
    [undefined, [], false],
    [undefined, "", false],
    ["edge-sse", "edge-sse", true],
    ["edge-sse", ["other", "edge-sse"], true],
    ["edge-sse", undefined, false],
    ["edge-sse", "other", false],
    ["edge-sse", ["other"], false],
    ["edge-sse", "Edge-SSE", false],
    ["edge-sse", "edge-sse2", false],
    ["edge-sse", { "edge-sse": true }, false],
    ["edge-sse", [["edge-sse"]], false],
  ])("audience %j and aud %j: valid %s", async (audience, aud, isValid) => {
    const verified = await verify(await rawHs256({ aud }), { ...(audience && { audience }) });
    expect(verified !== null).toBe(isValid);
  });

  it.each<[string | undefined, unknown, boolean]>([
    [undefined, undefined, true],
    [undefined, "https://issuer.test", true],
    ["https://issuer.test", "https://issuer.test", true],
    ["https://issuer.test", undefined, false],
    ["https://issuer.test", "https://issuer.test/", false],
    ["https://issuer.test", ["https://issuer.test"], false],
  ])("issuer %j and iss %j: valid %s", async (issuer, iss, isValid) => {
    const verified = await verify(await rawHs256({ iss }), { ...(issuer && { issuer }) });
    expect(verified !== null).toBe(isValid);
  });
});

describe("the owner of a token", () => {
  it("is the same for all spellings of a token that names no owner", async () => {
    const token = await rawHs256({ sub: null });
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = letters.indexOf(token.at(-1) ?? "");
    // With 32 bytes, two bits of the last character are unused.
    const spellings = [0, 1, 2, 3].map((bits) => token.slice(0, -1) + letters[(last & ~3) | bits]);
    const subjects = (await Promise.all(spellings.map((each) => verify(each)))).map((each) => each?.subject);
    expect(new Set(subjects.filter((each) => each !== undefined)).size).toBe(1);
  });

  it("is the same for the next token of the same subject", async () => {
    const first = await subjectOf({ sub: "alice", jti: "1" });
    expect(await subjectOf({ sub: "alice", jti: "2", exp: NOW_SECONDS + 120 })).toBe(first);
    expect(await subjectOf({ sub: "bob", jti: "1" })).not.toBe(first);
    expect(await subjectOf({ sub: "alice", iss: "https://issuer.test" })).not.toBe(first);
  });

  it("is the jti if there is no sub, and is never equal to another token's sub", async () => {
    const first = await subjectOf({ sub: undefined, jti: "alice" });
    expect(first).not.toBe(await subjectOf({ sub: "alice" }));
    expect(first).not.toBe(await subjectOf({ sub: undefined, jti: "bob" }));
  });

  it("is short however long its names are, because it is stored", async () => {
    const long = "a".repeat(4_000);
    const subjects = [
      await subjectOf({ sub: long }),
      await subjectOf({ sub: `${long}b` }),
      await subjectOf({ sub: undefined, jti: long }),
      await subjectOf({ sub: "alice", iss: long }),
    ];
    expect(new Set(subjects).size).toBe(subjects.length);
    expect(Math.max(...subjects.map((subject) => String(subject).length))).toBeLessThanOrEqual(256);
    expect(await subjectOf({ sub: long, exp: NOW_SECONDS + 120 })).toBe(subjects[0]);
  });

  it("never contains the token itself, because credentials must not be stored", async () => {
    for (const sub of [undefined, null, 7, { sub: "alice" }]) {
      const token = await rawHs256({ sub });
      const subject = (await verify(token))?.subject ?? "";
      expect(subject).toMatch(/^\{"digest":"[0-9a-f]{64}"\}$/);
      expect(subject).not.toContain(token.split(".")[2]);
    }
  });
});

describe("the grants of a token", () => {
  it("are read from the claim that config.yaml names", async () => {
    const token = await hs256({ edge_sse: { admin: true }, "https://a.test/sse": { publish: {} } });
    await expect(verify(token)).resolves.toMatchObject({ grants: { admin: {} } });
    const named = await verify(token, { claim: "https://a.test/sse" });
    expect(named?.grants).toEqual({ publish: {} });
  });

  it("are missing if that claim is missing or malformed, although the token is valid", async () => {
    for (const claims of [{}, { edge_sse: null }, { edge_sse: "*" }, { edge_sse: { publish: true } }]) {
      const verified = await verify(await hs256(claims));
      expect(verified?.grants).toBeNull();
    }
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "are never read from an inherited property: %s",
    async (claim) => {
      const verified = await verify(await hs256(), { claim });
      expect(verified).not.toBeNull();
      expect(verified?.grants).toBeNull();
    },
  );
});

async function subjectOf(claims: object): Promise<string | undefined> {
  return (await verify(await rawHs256(claims)))?.subject;
}

/** A token with claims that libraries refuse to sign. */
async function rawHs256(claims: object): Promise<string> {
  const payload = { sub: "alice", exp: NOW_SECONDS + 60, ...claims };
  const input = [{ alg: "HS256" }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${input}.${createHmac("sha256", SECRET).update(input).digest("base64url")}`;
}
