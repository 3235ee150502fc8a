import { errors, jwtVerify, type JWTPayload } from "jose";
import type { JwtConfig } from "../config/schema.ts";
import { readGrants, type Grants } from "./claims.ts";
import { hexDigest } from "./digest.ts";
import { KeysUnavailableError } from "./key-set-fetch.ts";
import { createKeys, type KeyHost } from "./keys.ts";

/** Characters of a token: more is not even looked at. */
const TOKEN_LENGTH = 8_192;

/** Decoders are lenient: they would take the same token in other spellings. Source: RFC 7515, section 3.1. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Characters of a subject: it is kept for each who comes. A longer one is kept as its digest. */
const SUBJECT_LENGTH = 256;

/** The last time that a date can tell. */
const LAST_MS = 8.64e15;

/** A token that is genuine and valid now. */
export interface VerifiedToken {
  /** Whose it is, for the limits: the same for the next token of the same subject. */
  readonly subject: string;
  /** Null: the claim is missing or malformed, and grants nothing. */
  readonly grants: Grants | null;
  /** When it ends, in ms since the epoch. */
  readonly endsAt: number;
}

/** Verifies JSON Web Tokens. */
export interface JwtVerifier {
  /** Whether there is a key to verify with. */
  readonly isConfigured: boolean;
  /**
   * @returns null for a token that is not valid, whyever
   * @throws KeysUnavailableError
   */
  verify(token: string): Promise<VerifiedToken | null>;
}

/**
 * A verifier for the tokens of this deployment. The algorithm is pinned; what a token says of its key beyond a `kid`
 * (`jku`, `jwk`, `x5u`, ...) is not looked at. Source: RFC 8725, sections 3.1 to 3.12.
 */
export function createJwtVerifier(config: JwtConfig, secret: string | undefined, host: KeyHost): JwtVerifier {
  const keys = createKeys(config, secret, host);
  const options = {
    algorithms: [config.algorithm],
    clockTolerance: config.clock_skew_seconds,
    requiredClaims: ["exp"],
    ...(config.audience !== undefined && { audience: config.audience }),
    ...(config.issuer !== undefined && { issuer: config.issuer }),
  };
  return {
    isConfigured: keys.length > 0,
    async verify(token) {
      const payload = await verifiedPayload(token);
      if (payload?.exp === undefined || (payload.aud !== undefined && config.audience === undefined)) {
        return null;
      }
      return {
        subject: await subjectOf(payload, token),
        grants: Object.hasOwn(payload, config.claim) ? readGrants(payload[config.claim]) : null,
        endsAt: endOf(payload.exp, config.clock_skew_seconds),
      };
    },
  };

  async function verifiedPayload(token: string): Promise<JWTPayload | null> {
    if (token.length > TOKEN_LENGTH || !COMPACT.test(token)) {
      return null;
    }
    for (const key of keys) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        if (error instanceof KeysUnavailableError) {
          throw error;
        }
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) {
          return null;
        }
      }
    }
    return null;
  }
}

/**
 * What is written down of a token that names nobody is the digest of what was signed: a log or a storage must not hold
 * what lets in, and the last character of a signature has spare bits, so that one token has several spellings.
 */
async function subjectOf({ iss, sub, jti }: JWTPayload, token: string): Promise<string> {
  const signed = token.slice(0, token.lastIndexOf("."));
  const owner = typeof sub === "string" ? { iss, sub } : typeof jti === "string" ? { iss, jti } : null;
  const subject = JSON.stringify(owner ?? { digest: await hexDigest(signed) });
  return subject.length <= SUBJECT_LENGTH ? subject : JSON.stringify({ digest: await hexDigest(subject) });
}

/** A token that is let in by the tolerance of clocks ends with that, and not before it came. */
function endOf(expSeconds: number, skewSeconds: number): number {
  const end = expSeconds * 1_000;
  return Math.floor(Math.min(end > Date.now() ? end : end + skewSeconds * 1_000, LAST_MS));
}
