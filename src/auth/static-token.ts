import { digest } from "./digest.ts";

/**
 * The position of a token among the valid tokens of a secret, from 0; null if it is not valid.
 *
 * @param secret the valid tokens, separated by commas. Several tokens let an operator replace one without downtime.
 */
export async function matchToken(given: string, secret: string): Promise<number | null> {
  const digested = await digest(given);
  let found: number | null = null;
  // Compares all tokens, even after a match, so that the time reveals nothing about the list.
  for (const [place, token] of tokensOf(secret).entries()) {
    if (areEqual(digested, await digestOfExpected(token))) {
      found = place;
    }
  }
  return found;
}

/** The tokens of a secret. An empty secret has none. */
export function tokensOf(secret: string | undefined): readonly string[] {
  return (secret ?? "")
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
}

/**
 * Whether two digests are equal, in a time that does not reveal where they differ. An attacker cannot choose a digest.
 */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) {
    difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  }
  return difference === 0;
}

/** The digests of this deployment's tokens. Kept as bytes: Workers do not allow requests to share a promise. */
const expectedDigests = new Map<string, Uint8Array>();

async function digestOfExpected(token: string): Promise<Uint8Array> {
  const known = expectedDigests.get(token) ?? (await digest(token));
  expectedDigests.set(token, known);
  return known;
}
