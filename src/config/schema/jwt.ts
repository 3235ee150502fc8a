import { z } from "zod";

import { integer, section, text, word } from "./parts.ts";

/** Members of a JWK that must stay private. Source: RFC 7518, sections 6.2.2, 6.3.2 and 6.4. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** A public key as a JWK. Source: RFC 7517, section 4. */
const publicKey = z
  .looseObject(
    { kty: word(["RSA", "EC", "OKP"]), kid: text(200).optional() },
    { error: "a public key as a JWK" },
  )
  .superRefine((key, context) => {
    // The mistake is reported for the whole key: a report for the member would print the secret.
    for (const name of PRIVATE_MEMBERS.filter((member) => Object.hasOwn(key, member))) {
      context.addIssue({ code: "custom", message: `a public key, without the private member ${name}` });
    }
  });

/** JSON Web Tokens. */
export const jwt = section({
  /**
   * The only algorithm that is accepted, whatever a token says: `HS256` with the secret `JWT_SECRET`, or `RS256`,
   * `ES256` or `EdDSA` with a key set. Default `HS256`.
   */
  algorithm: word(["HS256", "RS256", "ES256", "EdDSA"]).default("HS256"),

  /**
   * The URL of the key set, a JWK Set (RFC 7517, section 5). The set is used for 10 minutes. A token with an unknown
   * `kid` makes the service fetch it again, at most every 30 s. The URL must be https, or http on this machine.
   * Default none.
   */
  jwks_url: text(2_048)
    .refine(isKeySetUrl, { error: "an https URL without credentials, or http on this machine" })
    .optional(),

  /** The key set itself instead of its URL: 1 to 20 public keys. Default none. */
  jwks: section({
    keys: z
      .array(publicKey, { error: "a list of public keys" })
      .min(1, { error: "at least one public key" })
      .max(20, { error: "at most 20 public keys" }),
  }).optional(),

  /**
   * The audience that `aud` must name. Default none: then a token with an `aud` is refused (RFC 7519, section 4.1.3).
   */
  audience: text(200).optional(),

  /** The issuer that `iss` must equal. Default none: `iss` is not checked. */
  issuer: text(200).optional(),

  /** Seconds by which clocks may differ when `exp` and `nbf` are checked. From 0 to 60. Default 5. */
  clock_skew_seconds: integer(0, 60).default(5),

  /** The claim that holds the grant of a token: see PROTOCOL.md. Default `edge_sse`. */
  claim: text(200).default("edge_sse"),
});

/** An attacker could replace a key set that is fetched without TLS. */
function isKeySetUrl(value: string): boolean {
  if (!URL.canParse(value)) {
    return false;
  }
  const { protocol, hostname, username, password, hash } = new URL(value);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const isPlain = username === "" && password === "" && hash === "";
  return isPlain && (protocol === "https:" || (protocol === "http:" && isLocal));
}
