import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type CryptoKey,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";
import type { JwtConfig } from "../config/schema.ts";
import { createKeySetFetch, KeysStillUnavailableError, KeysUnavailableError } from "./key-set-fetch.ts";
import { jwtSecretsOf } from "./jwt-secret.ts";

/** A key set is fetched again after this long; for a `kid` that it lacks, at most once in so long. */
const KEY_SET_AGE_MS = 600_000;
const KEY_SET_PAUSE_MS = 30_000;
const FETCH_TIMEOUT_MS = 5_000;

/** Where the key of a token comes from. Several: any of them may have signed. */
export type Keys = readonly JWTVerifyGetKey[];

/** What a fetch of keys needs from where it runs. */
export interface KeyHost {
  readonly fetch: typeof globalThis.fetch;
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
  host: KeyHost,
): Keys {
  if (algorithm === "HS256") {
    return secretKeys(secret);
  }
  if (jwks !== undefined) {
    return [keysOf(createLocalJWKSet(jwks as JSONWebKeySet))];
  }
  return url === undefined ? [] : [remoteKeys(new URL(url), algorithm, host)];
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

function remoteKeys(url: URL, algorithm: string, host: KeyHost): JWTVerifyGetKey {
  const keySet = createRemoteJWKSet(url, {
    cacheMaxAge: KEY_SET_AGE_MS,
    cooldownDuration: KEY_SET_PAUSE_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: createKeySetFetch(host.fetch, algorithm),
  });
  return keysOf((header, token) => {
    const found = keySet(header, token);
    // Whoever asks and leaves would otherwise stop the fetch that others wait for.
    host.keepAlive(found.catch(() => undefined));
    return found;
  });
}

/** A set that lacks the key of a token makes it a bad one; a set that is not there or is broken is our own trouble. */
function keysOf(keySet: JWTVerifyGetKey): JWTVerifyGetKey {
  // Everywhere but on Workers jose lets all tokens wait for one fetch, so its failure comes once for each of them.
  const told = new WeakSet<Error>();
  return async (header, token) => {
    try {
      return await keySet(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw error;
      }
      const isNews = !(error instanceof Error) || !told.has(error);
      if (error instanceof Error) {
        told.add(error);
      }
      const cause = isNews ? error : new KeysStillUnavailableError("the key set cannot be used");
      throw new KeysUnavailableError("the key set cannot be used", { cause });
    }
  };
}
