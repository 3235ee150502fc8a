import { tokensOf } from "./static-token.ts";

/** A secret of HS256 has as many bytes as its hash. Source: RFC 7518, section 3.2. */
const SECRET_BYTES = 32;

const encoder = new TextEncoder();

/** The secrets in `JWT_SECRET`: one, or several between commas. One that is too short is none: it can be guessed. */
export function jwtSecretsOf(secret: string | undefined): readonly Uint8Array[] {
  return tokensOf(secret)
    .map((text) => encoder.encode(text))
    .filter((bytes) => bytes.byteLength >= SECRET_BYTES);
}
