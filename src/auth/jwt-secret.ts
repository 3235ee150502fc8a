import { tokensOf } from "./static-token.ts";

/** A secret for HS256 has at least as many bytes as its hash. Source: RFC 7518, section 3.2. */
const SECRET_BYTES = 32;

const encoder = new TextEncoder();

/** The secrets in `JWT_SECRET`, separated by commas. Secrets that are too short are ignored: they can be guessed. */
export function jwtSecretsOf(secret: string | undefined): readonly Uint8Array[] {
  return tokensOf(secret)
    .map((text) => encoder.encode(text))
    .filter((bytes) => bytes.byteLength >= SECRET_BYTES);
}
