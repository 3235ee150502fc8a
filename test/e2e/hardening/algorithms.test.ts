import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";
import { expect, it } from "vitest";

import { startService } from "../../support/service.ts";

it.each(["RS256", "ES256", "EdDSA"])(
  "A token of %s opens a stream, and one of the same algorithm by another key does not",
  async (algorithm) => {
    const [own, foreign] = await Promise.all(
      Array.from({ length: 2 }, () => generateKeyPair(algorithm, { extractable: true })),
    );
    if (own === undefined || foreign === undefined) {
      throw new Error("no keys");
    }
    const key = { ...(await exportJWK(own.publicKey)), kid: "a" };
    const service = await startService({
      config: { auth: { subscribe: "jwt", jwt: { algorithm, jwks: { keys: [key] } } } },
    });
    const statusBy = async (privateKey: CryptoKey): Promise<number> => {
      const token = await new SignJWT({ edge_sse: { subscribe: {} } })
        .setProtectedHeader({ alg: algorithm, kid: "a" })
        .setExpirationTime("1h")
        .sign(privateKey);
      const stream = await service.raw("/api/events", { headers: { Authorization: `Bearer ${token}` } });
      return stream.status;
    };
    expect(await statusBy(own.privateKey)).toBe(200);
    expect(await statusBy(foreign.privateKey)).toBe(401);
    await service.stop();
  },
);
