import { createLocalJWKSet, type JSONWebKeySet, type JWK } from "jose";

/** The smallest RSA key that verification accepts. Source: RFC 7518, section 3.3. */
const RSA_BITS = 2_048;

/** A signature that fits no data: a key that works says so, and a broken one throws. */
const ANY_SIGNATURE = new Uint8Array(64);
const ANY_DATA = new Uint8Array(1);

/**
 * The keys of a set that can verify tokens of an algorithm. The other keys are left out, so that a malformed key does
 * not make a good one unusable.
 *
 * @throws JWKSInvalid if it is not a key set
 */
export async function usableKeys(keySet: JSONWebKeySet, algorithm: string): Promise<JWK[]> {
  // Called for its check: it throws unless the value is a key set.
  createLocalJWKSet(keySet);
  const usable: JWK[] = [];
  for (const key of keySet.keys) {
    if (await isUsable(key, algorithm)) {
      usable.push(key);
    }
  }
  return usable;
}

async function isUsable(jwk: JWK, algorithm: string): Promise<boolean> {
  try {
    const key = await createLocalJWKSet({ keys: [jwk] })({ alg: algorithm });
    // Deno imports a point that is not on its curve. Only a use of the key shows it.
    await crypto.subtle.verify({ name: key.algorithm.name, hash: "SHA-256" }, key, ANY_SIGNATURE, ANY_DATA);
    return !("modulusLength" in key.algorithm) || Number(key.algorithm.modulusLength) >= RSA_BITS;
  } catch {
    return false;
  }
}
