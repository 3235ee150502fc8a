/**
 * The token in an `Authorization: Bearer` header; null if there is none. Source: RFC 6750, section 2.1. Unlike the RFC,
 * it accepts any text as a token, because a deployment chooses its own tokens.
 */
export function bearerToken(authorization: string | null): string | null {
  const scheme = /^Bearer +/i.exec(authorization ?? "")?.[0];
  return authorization?.slice(scheme?.length ?? authorization.length).trimEnd() || null;
}
