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
import { jwtSecretsOf } from "./jwt-secret.ts";

/** A key set is fetched again after this long; for a `kid` that it lacks, at most once in so long. */
const KEY_SET_AGE_MS = 600_000;
const KEY_SET_PAUSE_MS = 30_000;
const FETCH_TIMEOUT_MS = 5_000;

/** A fetch of which nothing was heard so long after its time was cancelled, with the request that made it. */
const FETCH_GRACE_MS = 1_000;

/** After a failed fetch nobody tries again for so long: what anybody can send must not become a flood elsewhere. */
const FAILURE_PAUSE_MS = 2_000;

/** How often who waits for the fetch of another request looks: a promise must not be shared between requests. */
const LOOK_EVERY_MS = 10;

const KEY_SET_BYTES = 256 * 1024;

/** Where the key of a token comes from. Several: any of them may have signed. */
export type Keys = readonly JWTVerifyGetKey[];

/** The keys could not be had: nobody is let in, and that passes by itself. */
export class KeysUnavailableError extends Error {}

/** The same, and nothing new: what is wrong was told when it was found out. */
export class KeysStillUnavailableError extends KeysUnavailableError {}

/** What the fetch of a key set needs of its surroundings. */
export interface KeySetAccess {
  readonly fetch: typeof fetch;
  /** Sees to it that a promise is settled, also when the request that it belongs to is cancelled meanwhile. */
  keepAlive(promise: Promise<unknown>): void;
}

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
  access: KeySetAccess,
): Keys {
  if (algorithm === "HS256") {
    return secretKeys(secret);
  }
  if (jwks !== undefined) {
    return [keysOf(createLocalJWKSet(jwks as JSONWebKeySet))];
  }
  return url === undefined ? [] : [remoteKeys(new URL(url), access)];
}

function secretKeys(secret: string | undefined): Keys {
  return jwtSecretsOf(secret).map((bytes) => {
    let key: CryptoKey | undefined;
    return async () => (key ??= await importSecret(bytes));
  });
}

function importSecret(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function remoteKeys(url: URL, access: KeySetAccess): JWTVerifyGetKey {
  const keySet = createRemoteJWKSet(url, {
    cacheMaxAge: KEY_SET_AGE_MS,
    cooldownDuration: KEY_SET_PAUSE_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: soleFetch(access),
  });
  return keysOf((header, token) => {
    const found = keySet(header, token);
    // Whoever asks and leaves would otherwise stop the fetch that others wait for.
    access.keepAlive(found.catch(() => undefined));
    return found;
  });
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

/** Fetches a key set of bounded size: once for all who ask meanwhile, and not at once after a failure. */
function soleFetch(access: KeySetAccess): FetchImplementation {
  let busyUntil = Number.NEGATIVE_INFINITY;
  let fetched = { at: Number.NEGATIVE_INFINITY, text: "" };
  let failedAt = Number.NEGATIVE_INFINITY;
  return async (url, options) => {
    const askedAt = Date.now();
    while (Date.now() < busyUntil) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (options.signal.aborted) {
        throw new KeysStillUnavailableError("the key set is being fetched for too long");
      }
    }
    if (fetched.at >= askedAt) {
      return new Response(fetched.text);
    }
    const sinceFailure = Date.now() - failedAt;
    if (sinceFailure >= 0 && sinceFailure < FAILURE_PAUSE_MS) {
      throw new KeysStillUnavailableError("the key set is not fetched again yet");
    }
    busyUntil = Date.now() + FETCH_TIMEOUT_MS + FETCH_GRACE_MS;
    try {
      const text = await fetchKeySet(access, url, options);
      fetched = { at: Date.now(), text };
      return new Response(text);
    } catch (error) {
      failedAt = Date.now();
      throw error;
    } finally {
      busyUntil = Number.NEGATIVE_INFINITY;
    }
  };
}

async function fetchKeySet(
  access: KeySetAccess,
  ...[url, options]: Parameters<FetchImplementation>
): Promise<string> {
  const response = await access.fetch(url, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new KeysUnavailableError(`the key set answers ${response.status}`);
  }
  const text = await readText(response.body, KEY_SET_BYTES);
  // Throws unless it is a key set.
  createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  return text;
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
