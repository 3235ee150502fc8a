import { expect, it } from "vitest";

import { createJwtVerifier } from "../../src/auth/jwt.ts";
import type { JwtConfig } from "../../src/config/schema.ts";
import { createSigner, jwtConfig } from "../unit/auth/tokens.ts";

it.each(["RS256", "ES256", "EdDSA"] as const)(
  "the runtime verifies a token of %s, and refuses one that another key has signed",
  async (algorithm) => {
    const [own, foreign] = await Promise.all([createSigner(algorithm, "a"), createSigner(algorithm, "a")]);
    const changes = { algorithm, jwks: { keys: [own.jwk] } } as Partial<JwtConfig>;
    const verifier = createJwtVerifier(jwtConfig(changes), [], undefined, {
      fetch: () => Promise.reject(new Error("The key set is in the configuration")),
      keepAlive: () => undefined,
    });
    const exp = Math.floor(Date.now() / 1_000) + 3_600;
    await expect(verifier.verify(await own.sign({ exp }))).resolves.not.toBeNull();
    await expect(verifier.verify(await foreign.sign({ exp }))).resolves.toBeNull();
  },
);
