import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../../support/problem.ts";
import { adminToken, startService, type Service } from "../../support/service.ts";

const CONFIGURATIONS: [name: string, config: Readonly<Record<string, unknown>>][] = [
  ["the shipped configuration", {}],
  ["a wide configuration", { channels: { allowed: ["*"] } }],
];

/** Every kind of route. None of them answers a foreign name. */
const ROUTES: [method: string, path: string][] = [
  ["GET", "/api/events"],
  ["POST", "/api/publish"],
  ["GET", "/api/history"],
  ["POST", "/api/tickets"],
  ["GET", "/health"],
  ["GET", "/metrics"],
  ["GET", "/api/admin/clients"],
  ["POST", "/api/admin/drain"],
  ["POST", "/api/admin/shutdown"],
  ["GET", "/"],
  ["GET", "/nothing"],
];

let service: Service;

async function refusalOf(method: string, path: string, host: string): Promise<string> {
  const headers = { Host: host, Authorization: `Bearer ${adminToken}`, Connection: "close" };
  const answer = await service.raw(path, { method, headers });
  await answer.untilClosed();
  expect(answer.status).toBe(400);
  const { code, detail } = await problemOf(answer);
  expect(code).toBe("invalid_request");
  return detail;
}

async function statusFor(host: string, path = "/health"): Promise<number> {
  const answer = await service.raw(path, { headers: { Host: host, Connection: "close" } });
  answer.reset();
  return answer.status;
}

describe.each(CONFIGURATIONS)("With %s, a Host", (_name, config) => {
  beforeAll(async () => {
    service = await startService({ config });
  });

  afterAll(() => service.stop());

  it.each([
    "a/api/admin/drain?for_seconds=1&channel=default#",
    "localhost/api/admin/drain?for_seconds=1&channel=default#",
    "127.0.0.1/api/admin/drain?for_seconds=1&channel=default&",
    String.raw`localhost\api\admin\drain?for_seconds=1&channel=default#`,
    "x:y@localhost/api/admin/drain?channel=default#",
  ])("does not choose the route: %s", async (host) => {
    const stream = await service.stream();
    await stream.nextEvent({ type: "connected" });
    expect(await refusalOf("POST", "/nothing", host)).toContain("Host header");
    expect((await service.health()).status).toBe("healthy");
    expect(stream.closed).toBe(false);
    stream.reset();
  });

  it.each([
    "user@localhost",
    "localhost:",
    "localhost:99999",
    "localhost, localhost",
    "local host",
    "l\u00e4",
    "[::1",
    "a%2f",
  ])("that is not exactly a host and a port is refused: %j", async (host) => {
    expect(await refusalOf("GET", "/health", host)).toContain("Host header");
  });

  it.each([
    String.raw`/x\..\metrics`,
    String.raw`/.\metrics`,
    String.raw`/%2e\metrics`,
    String.raw`/x\..\api\admin\clients`,
    "/x/../metrics",
    "/x/%2E%2e/metrics",
    "/x/.%2e/api/admin/clients",
    "/./metrics",
    "/metrics/.",
    "/metrics/x/..",
  ])("and a target, %s, do not choose a route that is hidden from a proxy in front", async (target) => {
    const head = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${adminToken}\r\n`;
    const answer = await service.raw("/", { bytes: Buffer.from(`${head}Connection: close\r\n\r\n`) });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_request" });
  });

  it.each(ROUTES)(
    "with a foreign name gets no answer from %s %s: a page cannot rebind its name to this machine",
    async (method, path) => {
      expect(await refusalOf(method, path, "evil.test")).toContain("hosts.allowed");
      expect(await refusalOf(method, path, `localhost.evil.test:${service.port}`)).toContain("hosts.allowed");
    },
  );

  it("with a name of this machine is answered", async () => {
    for (const host of [
      "127.0.0.1",
      `127.0.0.1:${service.port}`,
      "[::1]",
      "localhost",
      "LOCALHOST:1",
      "a.localhost",
    ]) {
      expect(await statusFor(host)).toBe(200);
    }
  });
});

describe("A configured name", () => {
  beforeAll(async () => {
    const config = { hosts: { allowed: ["sse.example.com", "*.example.org"] } };
    service = await startService({ config, env: { HOST: "localhost" } });
  });

  afterAll(() => service.stop());

  it("is answered", async () => {
    for (const host of ["sse.example.com", "SSE.example.com:443", "a.b.example.org"]) {
      expect(await statusFor(host)).toBe(200);
      expect(await statusFor(host, "/")).toBe(200);
    }
  });

  it("does not allow other names", async () => {
    for (const host of ["example.com", "a.sse.example.com", "example.org", "example.org.evil.test"]) {
      expect(await refusalOf("GET", "/health", host)).toContain("hosts.allowed");
    }
  });
});
