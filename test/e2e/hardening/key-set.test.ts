import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createIssuer, reading, type Issuer } from "../../support/jwt.ts";
import { startKeyServer, type KeyServer } from "../../support/key-server.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

let issuer: Issuer;
let stranger: Issuer;
let keyServer: KeyServer;
let service: Service;

const answering =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

const keySetOf = (...issuers: readonly Issuer[]): string =>
  JSON.stringify({ keys: issuers.map(({ publicJwk }) => publicJwk) });

beforeEach(async () => {
  [issuer, stranger] = await Promise.all([createIssuer("ES256", "ours"), createIssuer("ES256", "theirs")]);
  keyServer = await startKeyServer(answering(500, "{}"));
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      auth: { subscribe: "jwt", jwt: { algorithm: "ES256", jwks_url: keyServer.url } },
    },
  });
});

afterEach(async () => {
  await service.stop();
  await keyServer.stop();
});

async function read(token: string): Promise<Response> {
  return service.fetch("/api/history", { headers: { Authorization: `Bearer ${token}` } });
}

async function expectUnavailable(answer: Response): Promise<void> {
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  expect(await problemOf(answer)).toMatchObject({
    status: 503,
    code: "keys_unavailable",
  });
}

/** Opens a connection, asks with a token, and resets the connection without waiting for the answer. */
async function askAndLeave(token: string): Promise<void> {
  const socket = connect(service.port, "127.0.0.1").on("error", () => undefined);
  await once(socket, "connect");
  socket.write(`GET /api/history HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  // Long enough for the request to reach the service.
  await sleep(25);
  socket.resetAndDestroy();
}

/** Makes the key server work again, and waits until the service has the key set. */
async function mend(): Promise<void> {
  keyServer.answer = answering(200, keySetOf(issuer));
  const token = await issuer.token();
  await until(async () => (await read(token)).status === 200, {
    what: "the key set to be fetched again",
    timeoutMs: 10_000,
    everyMs: 100,
  });
}

function expectOneLineForEachFetch(): void {
  const told = service.logs.filter(({ event }) => event === "keys_unavailable");
  expect(told).toHaveLength(keyServer.fetches);
}

describe("A key set that cannot be fetched accepts no token", () => {
  it("and a flood of tokens causes no flood of fetches and no flood of log lines", async () => {
    keyServer.answer = answering(500, "{}");
    const token = await issuer.token();
    const start = performance.now();
    await expectUnavailable(await read(token));
    for (const each of await Promise.all(Array.from({ length: 50 }, () => read(token)))) {
      await expectUnavailable(each);
    }
    // A failed fetch is tried again after 2 s, not before.
    expect(keyServer.fetches).toBeLessThanOrEqual(1 + Math.floor((performance.now() - start) / 2_000));
    expectOneLineForEachFetch();
  });

  it("and a fetch without an answer delays no request for long, even if the clients that began it have left", async () => {
    keyServer.answer = () => undefined;
    const token = await issuer.token();
    await until(async () => (await askAndLeave(token), keyServer.fetches > 0), {
      what: "a fetch that nobody waits for",
      everyMs: 0,
    });
    await Promise.all(Array.from({ length: 50 }, () => askAndLeave(token)));
    const start = performance.now();
    for (const each of await Promise.all(Array.from({ length: 100 }, () => read(token)))) {
      await expectUnavailable(each);
    }
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(keyServer.fetches).toBe(1);
    expectOneLineForEachFetch();
    await mend();
  });
});

describe("A key set that was fetched", () => {
  it("is not fetched again for tokens of keys that it lacks, and outlives its server", async () => {
    keyServer.answer = answering(200, keySetOf(issuer));
    expect((await read(await issuer.token())).status).toBe(200);
    const forged = await Promise.all(
      ["theirs", "ours", "another"].map((kid) => stranger.token(reading, { kid })),
    );
    const answers = await Promise.all(Array.from({ length: 99 }, (_, n) => read(forged[n % 3] ?? "")));
    for (const each of answers) {
      expect(await problemOf(each)).toMatchObject({ status: 401, code: "unauthorized" });
    }
    expect(keyServer.fetches).toBe(1);
    keyServer.answer = answering(500, "");
    expect((await read(await issuer.token())).status).toBe(200);
  });
});
