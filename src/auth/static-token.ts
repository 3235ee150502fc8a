import { digest } from "./digest.ts";

/**
 * Which of the valid tokens of a secret was given: its place, from 0; null for none of them.
 *
 * @param secret one token, or several between commas, so that a new one can be handed out before the old one goes.
 */
export async function matchToken(given: string, secret: string): Promise<number | null> {
  const digested = await digest(given);
  let found: number | null = null;
  // All are compared, also after a match: the time tells nothing about the list either.
  for (const [place, token] of tokensOf(secret).entries()) {
    if (areEqual(digested, await digestOfExpected(token))) {
      found = place;
    }
  }
  return found;
}

/** The tokens of a secret. None in an empty one. */
export function tokensOf(secret: string | undefined): readonly string[] {
  return (secret ?? "")
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
}

/**
 * Whether two digests are equal, in a time that tells nothing about where they differ. Digests of tokens are of equal
 * length, and an attacker cannot steer them.
 */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) {
    difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  }
  return difference === 0;
}

/** The digests of the tokens of this deployment, as bytes: a promise must not be shared between requests. */
const expectedDigests = new Map<string, Uint8Array>();

async function digestOfExpected(token: string): Promise<Uint8Array> {
  const known = expectedDigests.get(token) ?? (await digest(token));
  expectedDigests.set(token, known);
  return known;
}
