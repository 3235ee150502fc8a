import type { RequestListener } from "node:http";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createIssuer, type Issuer } from "../../support/jwt.ts";
import { startKeyServer, type KeyServer } from "../../support/key-server.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

/** After a failed fetch the set is fetched again with the first token that comes 2 s later. */
const MENDED_WITHIN_MS = 5_000;

let issuer: Issuer;
let keyServer: KeyServer;
let service: Service;

const answering =
  (keySet: unknown): RequestListener =>
  (_request, response) =>
    void response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(keySet));

beforeAll(async () => {
  issuer = await createIssuer("ES256", "ours");
  keyServer = await startKeyServer(answering({ keys: [] }));
  service = await startService({
    config: { auth: { subscribe: "jwt", jwt: { algorithm: "ES256", jwks_url: keyServer.url } } },
  });
});

afterAll(async () => {
  await service.stop();
  await keyServer.stop();
});

async function read(): Promise<Response> {
  const headers = { Authorization: `Bearer ${await issuer.token()}` };
  return service.fetch("/api/history", { headers });
}

/** Asks until the set was fetched again. */
function readAnew(): Promise<Response> {
  const before = keyServer.fetches;
  return until(
    async () => {
      const answer = await read();
      return keyServer.fetches > before ? answer : null;
    },
    { what: "another fetch of the key set", timeoutMs: 10_000, everyMs: 100 },
  );
}

describe("A key set without a usable key", () => {
  it.each<[string, (ours: Issuer["publicJwk"]) => unknown]>([
    ["that has no keys", () => ({ keys: [] })],
    ["that is one key", (ours) => ours],
    ["whose key has no numbers", () => ({ keys: [{ kty: "EC" }] })],
    ["whose key lacks a coordinate", (ours) => ({ keys: [{ ...ours, y: undefined }] })],
    ["whose key is no point of the curve", (ours) => ({ keys: [{ ...ours, y: ours.x }] })],
    ["whose key is of another algorithm", (ours) => ({ keys: [{ ...ours, alg: "ES384" }] })],
  ])("%s is a failed fetch, and not a bad token", async (_, broken) => {
    keyServer.answer = answering(broken(issuer.publicJwk));
    const answer = await readAnew();
    expect(answer.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
    expect(await problemOf(answer)).toMatchObject({ status: 503, code: "keys_unavailable" });
  });

  it("lets its tokens in soon after it was mended, though one of its keys is still broken", async () => {
    keyServer.answer = answering({ keys: [{ kty: "EC", kid: "ours" }, issuer.publicJwk] });
    const startedAt = performance.now();
    await until(async () => (await read()).status === 200, {
      what: "the mended key set to be used",
      timeoutMs: 2 * MENDED_WITHIN_MS,
      everyMs: 100,
    });
    expect(performance.now() - startedAt).toBeLessThan(MENDED_WITHIN_MS);
  });
});
