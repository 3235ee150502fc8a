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

/** How long a key set is cached. */
const KEY_SET_AGE_MS = 600_000;

/** The shortest time between two fetches for a `kid` that the set lacks: anybody can invent one. */
const KEY_SET_PAUSE_MS = 30_000;

const FETCH_TIMEOUT_MS = 5_000;

/** The keys, any of which may have signed a token. */
export type Keys = readonly JWTVerifyGetKey[];

/** The parts of the host that a fetch of keys uses. */
export interface KeyHost {
  readonly fetch: typeof globalThis.fetch;
  /** Lets a promise settle even if its request is cancelled. */
  keepAlive(promise: Promise<unknown>): void;
}

/**
 * The keys of a deployment.
 *
 * @param secret `JWT_SECRET`: secrets of at least 32 bytes, separated by commas. Used for HS256 only: a public key must
 *   never become the secret of an algorithm that a token chooses.
 * @returns an empty list if the deployment has no key
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
    // Otherwise a client that asks and leaves would cancel the fetch that other requests wait for.
    host.keepAlive(found.catch(() => undefined));
    return found;
  });
}

/**
 * A token whose key is missing in the set is invalid. A set that is missing or broken is an error of the deployment.
 */
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
