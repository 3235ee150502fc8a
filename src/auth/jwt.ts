import { errors, jwtVerify, type JWTPayload } from "jose";
import type { JwtConfig } from "../config/schema.ts";
import { readGrants, type Grants } from "./claims.ts";
import { hexDigest } from "./digest.ts";
import { KeysUnavailableError } from "./key-set-fetch.ts";
import { createKeys, type KeyHost } from "./keys.ts";

/** The most characters of a token. A longer token is refused before it is parsed. */
const TOKEN_LENGTH = 8_192;

/** The strict form of a token. Decoders are lenient and accept other spellings too. Source: RFC 7515, section 3.1. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** The most characters of a subject, because the limits store subjects. A longer subject is stored as its digest. */
const SUBJECT_LENGTH = 256;

/** The latest time that a `Date` can represent. */
const LAST_MS = 8.64e15;

/** A token that was verified. */
export interface VerifiedToken {
  /** The owner, as the key for the limits: equal for all tokens of one owner. */
  readonly subject: string;
  /** Null if the claim is missing or malformed. It grants nothing then. */
  readonly grants: Grants | null;
  /** When the token ends, in ms since the epoch. */
  readonly endsAt: number;
}

/** Verifies JSON Web Tokens. */
export interface JwtVerifier {
  /** Whether there is a key for verification. */
  readonly isConfigured: boolean;
  /**
   * @returns null for an invalid token, whatever the reason
   * @throws KeysUnavailableError
   */
  verify(token: string): Promise<VerifiedToken | null>;
}

/**
 * A verifier for the tokens of this deployment. The algorithm is pinned. Of a token's hints about its key only `kid` is
 * used; `jku`, `jwk`, `x5u` and others are ignored. Source: RFC 8725, sections 3.1 to 3.12.
 *
 * @param fields the names of the fields that grants may list values of
 */
export function createJwtVerifier(
  config: JwtConfig,
  fields: readonly string[],
  secret: string | undefined,
  host: KeyHost,
): JwtVerifier {
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
        grants: Object.hasOwn(payload, config.claim) ? readGrants(payload[config.claim], fields) : null,
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
 * The owner of a token. If the token names none, a digest stands for it, because logs and storage must never contain
 * credentials. The digest leaves out the signature: its last character has spare bits, so one token has several
 * spellings.
 */
async function subjectOf({ iss, sub, jti }: JWTPayload, token: string): Promise<string> {
  const signed = token.slice(0, token.lastIndexOf("."));
  const owner = typeof sub === "string" ? { iss, sub } : typeof jti === "string" ? { iss, jti } : null;
  const subject = JSON.stringify(owner ?? { digest: await hexDigest(signed) });
  return subject.length <= SUBJECT_LENGTH ? subject : JSON.stringify({ digest: await hexDigest(subject) });
}

/** When a token ends. A token that is valid only by the tolerance for clock skew ends with the tolerance. */
function endOf(expSeconds: number, skewSeconds: number): number {
  const end = expSeconds * 1_000;
  return Math.floor(Math.min(end > Date.now() ? end : end + skewSeconds * 1_000, LAST_MS));
}
