import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

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

const broken: [what: string, answer: RequestListener][] = [
  ["500", answering(500, "{}")],
  [
    "a page of HTML",
    answering(200, "<!doctype html><title>Sign in</title>", { "Content-Type": "text/html" }),
  ],
  ["JSON that is no key set", answering(200, '{"keys":"all of them"}')],
  ["10 MB", answering(200, `{"keys":[],"rest":"${"x".repeat(10_000_000)}"}`)],
  ["a redirect", (_request, response) => void response.writeHead(302, { Location: keyServer.url }).end()],
];

beforeAll(async () => {
  [issuer, stranger] = await Promise.all([createIssuer("ES256", "ours"), createIssuer("ES256", "theirs")]);
  keyServer = await startKeyServer(answering(500, "{}"));
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      auth: { subscribe: "jwt", jwt: { algorithm: "ES256", jwks_url: keyServer.url } },
    },
  });
});

afterAll(async () => {
  await service.stop();
  await keyServer.stop();
});

async function read(token: string): Promise<Response> {
  return service.fetch("/api/history", { headers: { Authorization: `Bearer ${token}` } });
}

/** Asks until the key server was asked again: after a failure nobody asks it for a while. */
async function readAnew(token: string): Promise<Response> {
  const before = keyServer.fetches;
  return until(
    async () => {
      const answer = await read(token);
      return keyServer.fetches > before ? answer : null;
    },
    { what: "another fetch of the key set", timeoutMs: 10_000, everyMs: 100 },
  );
}

async function expectUnavailable(answer: Response): Promise<void> {
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  expect(await problemOf(answer)).toMatchObject({
    status: 503,
    code: "keys_unavailable",
    detail: "Tokens cannot be verified just now.",
  });
}

describe("A key set that cannot be had lets nobody in", () => {
  it.each(broken)(
    "when its server answers with %s, and a flood of tokens is no flood of fetches",
    async (_what, answer) => {
      keyServer.answer = answer;
      const token = await issuer.token();
      await expectUnavailable(await readAnew(token));
      const before = keyServer.fetches;
      for (const each of await Promise.all(Array.from({ length: 50 }, () => read(token)))) {
        await expectUnavailable(each);
      }
      expect(keyServer.fetches).toBe(before);
    },
  );

  it("when its server never answers, and nobody waits for longer than it takes to give up", async () => {
    keyServer.answer = () => undefined;
    const token = await issuer.token();
    const before = keyServer.fetches;
    const waiting: Promise<Response>[] = [];
    await until(
      () => {
        waiting.push(read(token));
        return keyServer.fetches > before;
      },
      { what: "a fetch", everyMs: 100 },
    );
    const start = performance.now();
    waiting.push(...Array.from({ length: 100 }, () => read(token)));
    for (const each of await Promise.all(waiting)) {
      await expectUnavailable(each);
    }
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(keyServer.fetches).toBe(before + 1);
  });

  it("and its log tells it once for each fetch, not for each token", () => {
    const told = service.logs.filter(({ event }) => event === "keys_unavailable");
    expect(told).toHaveLength(keyServer.fetches);
  });

  it("and connections that ask and are reset do not keep it shut once its server answers", async () => {
    const token = await issuer.token();
    const before = keyServer.fetches;
    const askAndLeave = async (): Promise<void> => {
      const socket = connect(service.port, "127.0.0.1").on("error", () => undefined);
      await once(socket, "connect");
      socket.write(`GET /api/history HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      await sleep(25);
      socket.resetAndDestroy();
    };
    const leave = async () => (await askAndLeave(), keyServer.fetches > before);
    await until(leave, { what: "a fetch that nobody waits for", everyMs: 0 });
    await Promise.all(Array.from({ length: 50 }, askAndLeave));
    expect(keyServer.fetches).toBe(before + 1);
    keyServer.answer = answering(200, keySetOf(issuer));
    const answer = await until(
      async () => {
        const each = await read(token);
        return each.status === 200 && each;
      },
      { what: "the key set to be fetched again", timeoutMs: 10_000, everyMs: 100 },
    );
    expect(answer.status).toBe(200);
  });
});

describe("A key set that was fetched", () => {
  it("is not fetched again for tokens of keys that it does not have", async () => {
    expect((await read(await issuer.token())).status).toBe(200);
    const before = keyServer.fetches;
    const forged = await Promise.all(
      ["theirs", "ours", "another"].map((kid) => stranger.token(reading, { kid })),
    );
    const answers = await Promise.all(Array.from({ length: 99 }, (_, n) => read(forged[n % 3] ?? "")));
    for (const each of answers) {
      expect(await problemOf(each)).toMatchObject({ status: 401, code: "unauthorized" });
    }
    expect(keyServer.fetches).toBe(before);
  });

  it("still lets its tokens in when its server is gone", async () => {
    keyServer.answer = answering(500, "");
    expect((await read(await issuer.token())).status).toBe(200);
  });
});
