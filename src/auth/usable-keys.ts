import { createLocalJWKSet, type JSONWebKeySet, type JWK } from "jose";

/** The smallest RSA key that verification accepts. Source: RFC 7518, section 3.3. */
const RSA_BITS = 2_048;

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
    return !("modulusLength" in key.algorithm) || Number(key.algorithm.modulusLength) >= RSA_BITS;
  } catch {
    return false;
  }
}
