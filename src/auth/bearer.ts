const encoder = new TextEncoder();

/**
 * The token of an `Authorization: Bearer` header; null when there is none. Source: RFC 6750, section 2.1, but any text
 * is taken for a token: a deployment chooses its own.
 */
export function bearerToken(authorization: string | null): string | null {
  const scheme = /^Bearer +/i.exec(authorization ?? "")?.[0];
  return authorization?.slice(scheme?.length ?? authorization.length).trimEnd() || null;
}

/**
 * Whether two tokens are equal, in a time that tells nothing about where they differ: what is compared are digests, of
 * equal length, that an attacker cannot steer.
 */
export async function equalTokens(given: string, expected: string): Promise<boolean> {
  const a = await digest(given);
  const b = await digestOfExpected(expected);
  let difference = 0;
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

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}
