import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type CryptoKey,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";
import type { JwtConfig } from "../config/schema.ts";
import { tokensOf } from "./static-token.ts";

/** A secret of HS256 has as many bytes as its hash. Source: RFC 7518, section 3.2. */
const SECRET_BYTES = 32;

/** A key set is fetched again after this long; for a `kid` that it lacks, at most once in so long. */
const KEY_SET_AGE_MS = 600_000;
const KEY_SET_PAUSE_MS = 30_000;
const FETCH_TIMEOUT_MS = 5_000;

/** After a failed fetch nobody tries again for so long: what anybody can send must not become a flood elsewhere. */
const FAILURE_PAUSE_MS = 2_000;

/** Fetches at the same time: a promise must not be shared between requests, so each one may need its own. */
const FETCHES_AT_ONCE = 32;

const KEY_SET_BYTES = 256 * 1024;

/** Where the key of a token comes from. Several: any of them may have signed. */
export type Keys = readonly JWTVerifyGetKey[];

/** The keys could not be had: nobody is let in, and that passes by itself. */
export class KeysUnavailableError extends Error {}

/**
 * The keys of a deployment.
 *
 * @param secret `JWT_SECRET`: one secret, or several between commas, of 32 bytes at least. For HS256 alone: a public key
 *   must never become the secret of an algorithm that a token chooses.
 * @returns none when the deployment lacks them
 */
export function createKeys(
  { algorithm, jwks, jwks_url: url }: JwtConfig,
  secret: string | undefined,
  fetchKeySet: typeof fetch,
): Keys {
  if (algorithm === "HS256") {
    return secretKeys(secret);
  }
  if (jwks !== undefined) {
    return [keysOf(createLocalJWKSet(jwks as JSONWebKeySet))];
  }
  return url === undefined ? [] : [remoteKeys(new URL(url), fetchKeySet)];
}

function secretKeys(secret: string | undefined): Keys {
  const encoder = new TextEncoder();
  return tokensOf(secret)
    .map((text) => encoder.encode(text))
    .filter((bytes) => bytes.byteLength >= SECRET_BYTES)
    .map((bytes) => {
      let key: CryptoKey | undefined;
      return async () => (key ??= await importSecret(bytes));
    });
}

function importSecret(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function remoteKeys(url: URL, fetchKeySet: typeof fetch): JWTVerifyGetKey {
  const keySet = createRemoteJWKSet(url, {
    cacheMaxAge: KEY_SET_AGE_MS,
    cooldownDuration: KEY_SET_PAUSE_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: boundedFetch(fetchKeySet),
  });
  return keysOf(keySet);
}

/** A set that lacks the key of a token makes it a bad one; a set that is not there or is broken is our own trouble. */
function keysOf(keySet: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await keySet(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw error;
      }
      throw new KeysUnavailableError("the key set cannot be used", { cause: error });
    }
  };
}

/** Fetches a key set of bounded size, a bounded number of times, and not at once after a failure. */
function boundedFetch(fetchKeySet: typeof fetch): FetchImplementation {
  let running = 0;
  let failedAt = Number.NEGATIVE_INFINITY;
  return async (url, options) => {
    const sinceFailure = Date.now() - failedAt;
    if (running >= FETCHES_AT_ONCE || (sinceFailure >= 0 && sinceFailure < FAILURE_PAUSE_MS)) {
      throw new KeysUnavailableError("the key set is not fetched again yet");
    }
    running++;
    try {
      const response = await fetchKeySet(url, options);
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new KeysUnavailableError(`the key set answers ${response.status}`);
      }
      return new Response(await readText(response.body, KEY_SET_BYTES), { status: 200 });
    } catch (error) {
      failedAt = Date.now();
      throw error;
    } finally {
      running--;
    }
  };
}

async function readText(body: ReadableStream<Uint8Array> | null, most: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > most) {
      throw new KeysUnavailableError(`the key set has more than ${most} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
