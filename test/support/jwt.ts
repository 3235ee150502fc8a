import { Buffer } from "node:buffer";

import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
} from "jose";

/** 32 bytes and more, as HS256 needs. */
export const jwtSecret = "a-secret-of-the-tests-that-is-long-enough";

export type Claims = Readonly<Record<string, unknown>>;

/** The default grant of a token. */
export const reading = { edge_sse: { subscribe: {} } } as const;

/** Seconds since the epoch, so many from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

/** A genuine token of HS256; `exp` is in an hour unless the claims say otherwise. */
export function tokenOf(claims: Claims = reading, secret = jwtSecret): Promise<string> {
  return signed(claims, { alg: "HS256" }, new TextEncoder().encode(secret));
}

/** Signs any claims under any header. */
export function signed(
  claims: Claims,
  header: Claims & { alg: string },
  key: CryptoKey | Uint8Array,
): Promise<string> {
  const payload = { exp: inSeconds(3_600), ...claims } as JWTPayload;
  return new SignJWT(payload).setProtectedHeader(header as JWTHeaderParameters).sign(key);
}

/** A part of a token: what `value` is in JSON, or the text itself, in base64url. */
export function part(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** A key pair, whose public half a key set can hold. */
export interface Issuer {
  readonly publicJwk: JWK;
  readonly publicKey: CryptoKey;
  /** A genuine token of this issuer. */
  token(claims?: Claims, header?: Claims): Promise<string>;
}

export async function createIssuer(alg: "RS256" | "ES256" | "EdDSA", kid: string): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg },
    publicKey,
    token: (claims = reading, header = {}) => signed(claims, { alg, kid, ...header }, privateKey),
  };
}
