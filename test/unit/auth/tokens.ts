import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from "jose";

import type { JwtConfig } from "../../../src/config/schema.ts";

/** The time in tests that stop the clock: a whole second. */
export const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
export const NOW_SECONDS = NOW / 1_000;

export const SECRET = "an-hs256-secret-of-32-bytes-or-more";

/** The token settings of config.yaml, with the changes of a test. */
export function jwtConfig(changes: Partial<JwtConfig> = {}): JwtConfig {
  return { algorithm: "HS256", clock_skew_seconds: 5, claim: "edge_sse", ...changes };
}

/** An HS256 token that is valid for a minute, with the changes of a test. */
export function hs256(claims: JWTPayload = {}, secret = SECRET, header: object = {}): Promise<string> {
  const payload = { sub: "alice", exp: NOW_SECONDS + 60, ...claims };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(new TextEncoder().encode(secret));
}

export type Asymmetric = "RS256" | "ES256" | "EdDSA";

/** A key pair, as a deployment with tokens has one. */
export interface Signer {
  readonly jwk: JWK;
  sign(claims?: JWTPayload, header?: object): Promise<string>;
}

export async function createSigner(algorithm: Asymmetric, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), alg: algorithm, use: "sig", ...(kid && { kid }) },
    sign: (claims, header) => signed(privateKey, claims, { alg: algorithm, ...(kid && { kid }), ...header }),
  };
}

function signed(key: CryptoKey, claims: JWTPayload = {}, header: { alg: string }): Promise<string> {
  const payload = { sub: "alice", exp: NOW_SECONDS + 60, ...claims };
  return new SignJWT(payload).setProtectedHeader(header).sign(key);
}

/** A token with any header, payload and signature. */
export function forged(header: object, payload: unknown, signature = ""): string {
  return [header, payload].map((part) => encode(JSON.stringify(part))).join(".") + `.${signature}`;
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}
