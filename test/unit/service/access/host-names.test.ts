import { describe, expect, it } from "vitest";

import { hostRefusal } from "../../../../src/service/access/host-names.ts";

const EDGE = { allowed: [] };
const LOCAL = { allowed: ["sse.example.com", "*.example.org"], listenHost: "Box.lan" };
const ANY = { allowed: ["*"], listenHost: "127.0.0.1" };

/** Joins a Host header and a target to a URL, as the runtime does. */
function refusal(host: string, env: Parameters<typeof hostRefusal>[2], target = "/health"): string | null {
  return hostRefusal(host, `http://${host}${target}`, env)?.code ?? null;
}

const WELL_FORMED = [
  "127.0.0.1",
  "127.0.0.1:8787",
  "192.168.0.7",
  "[::1]",
  "[::1]:8787",
  "[fe80::1]",
  "localhost",
  "localhost:80",
  "LocalHost",
  "localhost.",
  "a.localhost",
  "box.lan:8787",
  "BOX.LAN",
  "sse.example.com",
  "SSE.example.com.:443",
  "a.example.org",
  "a.b.example.org",
];

const FOREIGN = [
  "evil.test",
  "evil.test:8787",
  "example.com",
  "a.sse.example.com",
  "sse.example.com.evil.test",
  "example.org",
  "xexample.org",
  ".example.org",
  "localhost.evil.test",
  "xlocalhost",
  "127.0.0.1.evil.test",
  "localhost..",
];

const MALFORMED = [
  "",
  "a/api/admin/drain?for_seconds=1&channel=default#",
  "a/",
  "a?",
  "a#",
  "a\\b",
  "user@localhost",
  "user:word@localhost",
  "localhost:",
  "localhost:x",
  "localhost:99999",
  "localhost:1:2",
  "a, b",
  "a b",
  "a\tb",
  "a*b",
  "a%2fb",
  "ä.test",
  "::1",
  "[::1",
  "[::1]x",
  "[g::1]",
  "[]",
  "[::1%25eth0]",
  `${"a".repeat(254)}`,
  "a".repeat(100_000),
];

describe("the Host of a request", () => {
  it.each(WELL_FORMED)("is accepted by a local listener if it is a name of this machine: %s", (host) => {
    expect(refusal(host, LOCAL)).toBeNull();
    expect(refusal(host, EDGE)).toBeNull();
  });

  it.each(FOREIGN)("is refused by a local listener if it is a foreign name: %s", (host) => {
    expect(refusal(host, LOCAL)).toBe("invalid_request");
  });

  it.each(FOREIGN)("may be any name if the platform or the configuration allows all names: %s", (host) => {
    expect(refusal(host, EDGE)).toBeNull();
    expect(refusal(host, ANY)).toBeNull();
  });

  it.each(MALFORMED)("is refused on every host if it is malformed: %j", (host) => {
    for (const env of [EDGE, LOCAL, ANY]) {
      expect(refusal(host, env)).toBe("invalid_request");
    }
  });

  it("is refused if the target of the request is not a path", () => {
    for (const env of [EDGE, LOCAL, ANY]) {
      expect(refusal("localhost", env, "*")).toBe("invalid_request");
    }
  });

  it("may be absent if the platform has removed it", () => {
    expect(hostRefusal(null, "https://sse.example.com/health", EDGE)).toBeNull();
  });

  it("that is a foreign name gets a detail that names hosts.allowed", () => {
    expect(hostRefusal("evil.test", "http://evil.test/", LOCAL)?.message).toContain("hosts.allowed");
  });
});
