import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createJwtVerifier, type JwtVerifier } from "../../../src/auth/jwt.ts";
import { KeysStillUnavailableError, KeysUnavailableError } from "../../../src/auth/key-set-fetch.ts";
import { createSigner, hs256, jwtConfig, NOW, type Signer } from "./tokens.ts";

const URL_OF_KEYS = "https://issuer.test/keys";

/** An RSA key of 512 bits: too small, and of another algorithm. */
const RSA = { kty: "RSA", e: "AQAB", n: "x".repeat(86) };

/** A key set at a URL: its answers, and how often it was fetched. */
class KeyServer {
  asked = 0;
  readonly requests: { readonly url: string; readonly init: RequestInit }[] = [];
  answer: () => Response | Promise<Response>;

  constructor(...signers: readonly Signer[]) {
    this.answer = keySet(...signers);
  }

  verifier(): JwtVerifier {
    const config = jwtConfig({ algorithm: "ES256", jwks_url: URL_OF_KEYS });
    return createJwtVerifier(config, [], undefined, {
      fetch: async (url, init) => {
        this.asked++;
        this.requests.push({ url: String(url), init: init ?? {} });
        return this.answer();
      },
      keepAlive: () => undefined,
    });
  }
}

function keySet(...signers: readonly Signer[]): () => Response {
  return () => Response.json({ keys: signers.map(({ jwk }) => jwk) });
}

function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}

let known: Signer;
let other: Signer;
/** The end of a token that is valid longer than any test lasts. */
const LATER = { exp: NOW / 1_000 + 86_400 };

beforeEach(async () => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  [known, other] = await Promise.all([createSigner("ES256", "known"), createSigner("ES256", "other")]);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a key set at a URL", () => {
  it("is fetched for the first token, and cached for ten minutes", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    expect(verifier.isConfigured).toBe(true);
    expect(server.asked).toBe(0);
    const token = await known.sign(LATER);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
    pass(599);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
    expect(server.asked).toBe(1);
    pass(1);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
    expect(server.asked).toBe(2);
  });

  it("is fetched from its URL without following redirects, in bounded time", async () => {
    const server = new KeyServer(known);
    await server.verifier().verify(await known.sign(LATER));
    expect(server.requests).toEqual([
      {
        url: URL_OF_KEYS,
        init: expect.objectContaining({ method: "GET", redirect: "manual", signal: expect.any(AbortSignal) }),
      },
    ]);
    expect(new Headers(server.requests[0]?.init.headers).get("Authorization")).toBeNull();
  });

  it("is fetched again for a missing key, so that a new key is used at once", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    await verifier.verify(await known.sign(LATER));
    pass(30);
    server.answer = keySet(known, other);
    await expect(verifier.verify(await other.sign(LATER))).resolves.not.toBeNull();
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
    expect(server.asked).toBe(2);
  });

  it("is fetched at most every 30 s, however many kids an attacker invents", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    await verifier.verify(await known.sign(LATER));
    for (let second = 0; second < 60; second++) {
      const token = await other.sign(LATER, { kid: `made-up-${second}` });
      await expect(verifier.verify(token)).resolves.toBeNull();
      pass(1);
    }
    expect(server.asked).toBe(2);
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
  });

  it("drops a key that was removed from the set", async () => {
    const server = new KeyServer(known, other);
    const verifier = server.verifier();
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
    server.answer = keySet(other);
    pass(600);
    await expect(verifier.verify(await known.sign(LATER))).resolves.toBeNull();
    await expect(verifier.verify(await other.sign(LATER))).resolves.not.toBeNull();
  });

  it.each<[string, object[]]>([
    ["a key without its numbers", [{ kty: "EC", kid: "known", alg: "ES256", crv: "P-256" }]],
    ["keys of other algorithms", [{ kty: "OKP", crv: "Ed25519", x: "AAAA" }, RSA]],
    ["a secret", [{ kty: "oct", k: "c2VjcmV0" }]],
  ])("works with its usable keys despite %s", async (_, others) => {
    const server = new KeyServer();
    server.answer = () => Response.json({ keys: [...others, known.jwk, ...others] });
    const verifier = server.verifier();
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
    await expect(verifier.verify(await known.sign(LATER, { kid: undefined }))).resolves.not.toBeNull();
    await expect(verifier.verify(await other.sign(LATER))).resolves.toBeNull();
  });

  it("is not fetched for a token of another algorithm or for a malformed token", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    for (const token of [await hs256(LATER), "abc", "a.b.c", "e30.e30.e30"]) {
      await expect(verifier.verify(token)).resolves.toBeNull();
    }
    expect(server.asked).toBe(0);
  });
});

describe("a key set with RSA keys", () => {
  it.each([
    [1_024, 171],
    [512, 86],
  ])("is not usable if its only key has %i bits", async (_, characters) => {
    const config = jwtConfig({ algorithm: "RS256", jwks_url: URL_OF_KEYS });
    const verifier = createJwtVerifier(config, [], undefined, {
      fetch: async () => Response.json({ keys: [{ ...RSA, n: "x".repeat(characters) }] }),
      keepAlive: () => undefined,
    });
    const signer = await createSigner("RS256");
    await expect(verifier.verify(await signer.sign(LATER))).rejects.toThrow(KeysUnavailableError);
  });
});

describe("a key set that is not available", () => {
  it.each<[string, () => Response | Promise<Response>]>([
    ["fails", () => Promise.reject(new TypeError("fetch failed"))],
    ["is slow", () => Promise.reject(new DOMException("The operation timed out.", "TimeoutError"))],
    ["answers 500", () => new Response("{}", { status: 500 })],
    ["answers 404", () => Response.json({ keys: [] }, { status: 404 })],
    ["answers 204", () => new Response(null, { status: 204 })],
    ["redirects", () => new Response(null, { status: 302, headers: { Location: "https://evil.test/keys" } })],
    ["is empty", () => new Response("")],
    ["is not JSON", () => new Response("<html>")],
    ["is not a key set", () => Response.json([])],
    ["has keys that are not a list", () => Response.json({ keys: {} })],
    ["has null as a key", () => Response.json({ keys: [null] })],
    ["is a key, not a set", () => Response.json({ kty: "EC" })],
    ["has no keys", () => Response.json({ keys: [] })],
    ["has a key without its numbers", () => Response.json({ keys: [{ kty: "EC" }] })],
    [
      "has a key that is not a point of the curve",
      () => Response.json({ keys: [{ ...known.jwk, y: known.jwk.x }] }),
    ],
    ["has a key without a coordinate", () => Response.json({ keys: [{ ...known.jwk, y: undefined }] })],
    ["has keys of other algorithms", () => Response.json({ keys: [{ ...known.jwk, alg: "ES384" }, RSA] })],
    ["has keys for another use", () => Response.json({ keys: [{ ...known.jwk, use: "enc" }] })],
    ["has a secret", () => Response.json({ keys: [{ kty: "oct", k: "c2VjcmV0" }] })],
    ["is too large", () => Response.json({ keys: [], pad: "x".repeat(256 * 1024) })],
  ])("accepts no token if it %s", async (_, answer) => {
    const server = new KeyServer();
    server.answer = answer;
    await expect(server.verifier().verify(await known.sign(LATER))).rejects.toThrow(KeysUnavailableError);
  });

  it("is reported as new by one of many tokens that arrive together", async () => {
    const server = new KeyServer();
    server.answer = () => new Response(null, { status: 500 });
    const verifier = server.verifier();
    const tokens = await Promise.all(Array.from({ length: 10 }, () => known.sign(LATER)));
    const failures = await Promise.all(
      tokens.map((token) =>
        verifier.verify(token).then(
          () => null,
          (error: Error) => error,
        ),
      ),
    );
    const news = failures.filter((failure) => !(failure?.cause instanceof KeysStillUnavailableError));
    expect([server.asked, news.length]).toEqual([1, 1]);
  });

  it("keeps its last keys valid until they are ten minutes old", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    await verifier.verify(token);
    server.answer = () => new Response(null, { status: 500 });
    pass(599);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
    pass(1);
    await expect(verifier.verify(token)).rejects.toThrow(KeysUnavailableError);
  });

  it("is fetched again after 2 s if it had no usable key, and works once it is repaired", async () => {
    const server = new KeyServer();
    server.answer = () => Response.json({ keys: [{ kty: "EC" }] });
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    await expect(verifier.verify(token)).rejects.toThrow(KeysUnavailableError);
    server.answer = keySet(known);
    pass(1.9);
    await expect(verifier.verify(token)).rejects.toThrow(KeysUnavailableError);
    expect(server.asked).toBe(1);
    pass(0.1);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
  });

  it("keeps its last keys valid if it loses all usable keys, and recovers", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    await verifier.verify(await known.sign(LATER));
    server.answer = () => Response.json({ keys: [{ kty: "EC" }] });
    pass(30);
    await expect(verifier.verify(await other.sign(LATER))).rejects.toThrow(KeysUnavailableError);
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
    server.answer = keySet(other);
    pass(2);
    await expect(verifier.verify(await other.sign(LATER))).resolves.not.toBeNull();
  });

  it("still accepts known keys while an attacker invents unknown ones", async () => {
    const server = new KeyServer(known);
    const verifier = server.verifier();
    await verifier.verify(await known.sign(LATER));
    server.answer = () => new Response(null, { status: 500 });
    pass(30);
    await expect(verifier.verify(await other.sign(LATER))).rejects.toThrow(KeysUnavailableError);
    await expect(verifier.verify(await known.sign(LATER))).resolves.not.toBeNull();
  });

  it("is fetched again after 2 s, not earlier, and then works", async () => {
    const server = new KeyServer();
    server.answer = () => new Response(null, { status: 503 });
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    for (let each = 0; each < 20; each++) {
      await expect(verifier.verify(token)).rejects.toThrow(KeysUnavailableError);
      pass(0.099);
    }
    expect(server.asked).toBe(1);
    server.answer = keySet(known);
    pass(0.1);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
    expect(server.asked).toBe(2);
  });

  it("is fetched again even if the clock was set back", async () => {
    const server = new KeyServer();
    server.answer = () => new Response(null, { status: 503 });
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    await expect(verifier.verify(token)).rejects.toThrow(KeysUnavailableError);
    server.answer = keySet(known);
    pass(-3_600);
    await expect(verifier.verify(token)).resolves.not.toBeNull();
  });

  it("is fetched once for a thousand simultaneous requests", async () => {
    // As on Workers, where jose does not share a promise between requests.
    vi.stubGlobal("WebSocketPair", () => undefined);
    const server = new KeyServer(known);
    const { promise: isOpen, resolve: open } = Promise.withResolvers<void>();
    const answer = server.answer;
    server.answer = async () => {
      await isOpen;
      return answer();
    };
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    const all = Promise.all(Array.from({ length: 1_000 }, () => verifier.verify(token)));
    open();
    const verified = await all;
    expect(verified.every((each) => each !== null)).toBe(true);
    expect(server.asked).toBe(1);
  });

  it("costs little while requests wait for it, however many and however long", async () => {
    vi.stubGlobal("WebSocketPair", () => undefined);
    const server = new KeyServer(known);
    const { promise: isOpen, resolve: open } = Promise.withResolvers<void>();
    const { answer } = server;
    server.answer = async () => {
      await isOpen;
      return answer();
    };
    vi.useFakeTimers({ now: NOW, toFake: ["Date", "setTimeout", "clearTimeout"] });
    const timer = vi.spyOn(globalThis, "setTimeout");
    const verifier = server.verifier();
    const token = await known.sign(LATER);
    const all = Array.from({ length: 100 }, () => verifier.verify(token));
    await vi.advanceTimersByTimeAsync(1_000);
    const looks = timer.mock.calls.length / all.length;
    timer.mockRestore();
    open();
    const results: unknown[] = [];
    all.forEach((each) => void each.then((result) => results.push(result)));
    // The cryptography takes real time, during which no timer of this test rings.
    while (results.length < all.length) {
      await vi.advanceTimersByTimeAsync(50);
      await new Promise(setImmediate);
    }
    expect(results.every((result) => result !== null)).toBe(true);
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(15);
  });
});
