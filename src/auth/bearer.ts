/**
 * The token of an `Authorization: Bearer` header; null when there is none. Source: RFC 6750, section 2.1, but any text
 * is taken for a token: a deployment chooses its own.
 */
export function bearerToken(authorization: string | null): string | null {
  const scheme = /^Bearer +/i.exec(authorization ?? "")?.[0];
  return authorization?.slice(scheme?.length ?? authorization.length).trimEnd() || null;
}
