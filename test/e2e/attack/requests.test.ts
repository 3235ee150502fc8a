import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { host, isExcepted } from "../../support/host.ts";
import { problemOf } from "../../support/problem.ts";
import { cpuOf, runtimeOf } from "../../support/runtime-cpu.ts";
import { usageOf } from "../../support/runtime-usage.ts";
import { adminToken, publishToken, startService, type Service } from "../../support/service.ts";
import { WORST_CHARACTERS } from "../../support/worst-characters.ts";

/**
 * Milliseconds of CPU that no single request may cost, whatever is in it. Deno collects garbage on threads of its own,
 * whose time counts here too: up to 72 ms were seen for a body of 1 MiB.
 */
const CPU_MS = host.name === "deno" ? 100 : 50;

/** Characters of a header or an address: what passes the door, what passes the runtime, and far more. */
const SIZES = [16_000, 60_000, 300_000, 1024 * 1024];

/** The same for a body of 100,000 names, which only a publisher with a token may send: parsing it as JSON alone takes 50. */
const NAMES_CPU_MS = 150;

const BODY_BYTES = 1024 * 1024;

/**
 * Bytes of many lines. The runtime joins lines of one name before any code of ours runs, in quadratic time: 14,000 of them,
 * 336 kB, cost even a Worker that does nothing 0.3 s. SECURITY.md says so.
 */
const LINES_BYTES = 64 * 1024;

/** A request, and the status of its answer. */
type Attack = [what: string, request: () => Promise<number | null>];

/** Each size with each unit. The size that the runtime itself refuses comes with one unit only. */
function sizedUnits(beyond: string, units: readonly string[]): [size: number, unit: string][] {
  return SIZES.flatMap((size) =>
    (size > 300_000 ? [beyond] : units).map((unit): [number, string] => [size, unit]),
  );
}

const ROUTES: [method: string, path: string][] = [
  ["GET", "/api/events"],
  ["HEAD", "/api/events"],
  ["POST", "/api/publish"],
  ["GET", "/api/history"],
  ["POST", "/api/tickets"],
  ["GET", "/health"],
  ["GET", "/metrics"],
  ["GET", "/api/admin/clients"],
  ["DELETE", "/api/admin/clients/x"],
  ["POST", "/api/admin/drain"],
  ["POST", "/api/admin/resume"],
  ["POST", "/api/admin/shutdown"],
  ["GET", "/"],
  ["OPTIONS", "/api/events"],
];

/** Each header that the service reads, and how its value begins where a parser looks for something. */
const HEADERS: [name: string, begins: string][] = [
  ["Cookie", "a"],
  ["Cookie", "__Host-edge_sse="],
  ["Authorization", "Bearer "],
  ["Authorization", "Bearer e30.e30."],
  ["Accept", "text/plain"],
  ["Last-Event-ID", "1"],
  ["Origin", "https://a"],
  ["Content-Type", "application/json"],
  ["Content-Encoding", "identity"],
  ["Sec-Fetch-Site", "same-origin"],
  ["If-None-Match", '"'],
  ["CF-Connecting-IP", "1:"],
  ["Access-Control-Request-Method", "GET"],
  ["X-Unknown", ""],
];

const CONFIGURATIONS: [
  name: string,
  config: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
][] = [
  ["the shipped configuration", {}, {}],
  [
    "a wide configuration",
    {
      channels: { allowed: ["*"] },
      auth: {
        subscribe: ["token", "jwt"],
        publish: ["token", "jwt"],
        admin: ["token", "jwt"],
        metrics: "public",
      },
      cors: { allowed_origins: ["https://*.example.com", "https://app.example.com"] },
    },
    { SUBSCRIBE_TOKEN: "subscribe-token-of-the-tests", JWT_SECRET: "s".repeat(32) },
  ],
];

/** A HEAD has no body that could say why. */
async function refusalOf(
  service: Service,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; code: string | null }> {
  const Authorization = `Bearer ${adminToken}`;
  const answer = await service.raw(target, { method, headers: { Authorization, ...headers } });
  await answer.untilClosed();
  const { status } = answer;
  const code = method === "HEAD" ? null : (await problemOf(answer)).code;
  answer.reset();
  return { status, code };
}

function codeOf(method: string, code: string): string | null {
  return method === "HEAD" ? null : code;
}

describe.each(CONFIGURATIONS)("With %s", (_name, config, env) => {
  let service: Service;
  let pid: number;

  beforeAll(async () => {
    service = await startService({ config: { ...config, logging: { level: "error" } }, env });
    pid = runtimeOf(service);
    // The first runs compile the code, which must not be measured.
    for (const [method, path] of ROUTES) {
      await send(method, path, [`X: ${"x".repeat(1_000)}`]);
    }
  });

  afterAll(() => service.stop());

  /** The status; null when the connection was cut before there was one: the runtime reads no more than it likes. */
  async function send(method: string, target: string, lines: readonly string[]): Promise<number | null> {
    const head = [`${method} ${target} HTTP/1.1`, "Host: localhost", "Connection: close", ...lines];
    return answerTo(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), method);
  }

  async function answerTo(bytes: Buffer, method = "POST"): Promise<number | null> {
    const answer = await service.raw("/", { method, bytes }).catch(() => null);
    answer?.reset();
    return answer?.status ?? null;
  }

  /** The requests that cost more than the bound, or get an unexpected answer. */
  async function expensive(requests: readonly Attack[], bound: number = CPU_MS): Promise<string[]> {
    const found: string[] = [];
    for (const [what, request] of requests) {
      let status: number | null = null;
      const cost = await cpuOf(pid, bound, async () => {
        status = await request();
      });
      if (cost > bound || (status ?? 0) >= 500) {
        found.push(`${what}: ${status}, ${cost.toFixed(0)} ms`);
      }
    }
    return found;
  }

  async function publish(body: string, contentType: string): Promise<number> {
    const answer = await service.post(body, { contentType });
    await answer.text();
    return answer.status;
  }

  describe.each(ROUTES)("no header makes %s %s expensive", (method, path) => {
    it.each(HEADERS)("%s: %s...", async (name, begins) => {
      const requests = sizedUnits(" ", WORST_CHARACTERS).map(
        ([size, unit]) =>
          [
            `${size} of ${JSON.stringify(unit)}`,
            () => send(method, path, [`${name}: ${begins}${unit.repeat(size / unit.length)}a`]),
          ] as Attack,
      );
      expect(await expensive(requests)).toEqual([]);
    });

    it.each(["a: b", "Cookie: a=b", "Accept: a/b", "Origin: a", "Authorization: Bearer a"])(
      "thousands of %s",
      async (line) => {
        const equal = Array.from({ length: LINES_BYTES / (line.length + 2) }, () => line);
        const different = equal.map((_, n) => `${n}${line}`);
        const requests: Attack[] = [
          ["equal ones", () => send(method, path, equal)],
          ["different ones", () => send(method, path, different)],
        ];
        expect(await expensive(requests)).toEqual([]);
      },
    );
  });

  it.each(ROUTES)("no address makes %s %s expensive", async (method, path) => {
    const units = WORST_CHARACTERS.filter((unit) => !/\s/.test(unit));
    const requests = sizedUnits("&", units).flatMap(([size, unit]) =>
      [`${path}?`, `${path}?channel=`, `${path}?types=`, `${path}/`].map(
        (before) =>
          [
            `${size} of ${unit} after ${before}`,
            () => send(method, `${before}${unit.repeat(size / unit.length)}`, []),
          ] as Attack,
      ),
    );
    expect(await expensive(requests)).toEqual([]);
  });

  it.each<[type: string, units: string[], around: [before: string, after: string]]>([
    ["application/json", [" ", "[", "{", '"', '{"a":', "[0,", "1e", String.raw`\u0000`, "é"], ["", ""]],
    ["application/json", ["0,", "{},", '"",', "[],", '{"type":"a","data":1},'], ["[", "0]"]],
    ["application/x-ndjson", ["\n", " \n", "\r\n", "{}\n", "[\n", "0\n", " ", '"\n'], ["", ""]],
  ])("no body of %s makes a publish expensive: %j in %j", async (type, units, [before, after]) => {
    const requests = units.map((unit) => {
      const body = `${before}${unit.repeat((BODY_BYTES - 100) / Buffer.byteLength(unit))}${after}`;
      return [`a body of ${unit}`, () => publish(body, type)] as Attack;
    });
    expect(await expensive(requests)).toEqual([]);
  });

  it.each([
    ["an event", "{", "}"],
    ["the data of an event", '{"type":"a","data":{', "}}"],
  ])("no number of names makes %s expensive", async (what, before, after) => {
    const names = Array.from({ length: 100_000 }, (_, n) => `"${n.toString(36)}":0`).join(",");
    const body = `${before}${names}${after}`;
    expect(await expensive([[what, () => publish(body, "application/json")]], NAMES_CPU_MS)).toEqual([]);
  });

  const chunked = (chunks: number): (() => Promise<number | null>) => {
    const event = '{"type":"a","data":1}';
    const body = `${"1\r\n \r\n".repeat(chunks)}${event.length.toString(16)}\r\n${event}\r\n0\r\n\r\n`;
    const head = [
      "POST /api/publish HTTP/1.1",
      "Host: localhost",
      "Connection: close",
      `Authorization: Bearer ${publishToken}`,
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    ];
    return () => answerTo(Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  };

  it.skipIf(isExcepted("chunks that are read many at a time"))(
    "a body in 200,000 chunks costs less than 50 MB of memory",
    async () => {
      await chunked(20_000)();
      const usage = usageOf(service);
      const before = usage.residentMegabytes();
      expect(await chunked(200_000)()).toBe(200);
      expect(usage.residentMegabytes() - before).toBeLessThan(50);
    },
  );

  it.skipIf(isExcepted("chunks that are read many at a time"))(
    "a body in 20,000 chunks costs no more than its names may",
    async () => {
      expect(await expensive([["20,000 chunks of a byte", chunked(20_000)]], NAMES_CPU_MS)).toEqual([]);
    },
  );

  describe("A request that is too large is refused at the door, with a problem that says so", () => {
    it.each(ROUTES)("a header, and all headers together: %s %s", async (method, path) => {
      const expected = { status: 431, code: codeOf(method, "headers_too_large") };
      const third = "a".repeat(12_000);
      expect(await refusalOf(service, method, path, { Cookie: "a".repeat(17_000) })).toEqual(expected);
      expect(await refusalOf(service, method, path, { "X-Unknown": "a".repeat(17_000) })).toEqual(expected);
      expect(await refusalOf(service, method, path, { A: third, B: third, C: third })).toEqual(expected);
    });

    it.each(ROUTES)("an address, and a number of parameters: %s %s", async (method, path) => {
      expect(await refusalOf(service, method, `${path}?types=${"a".repeat(17_000)}`)).toEqual({
        status: 414,
        code: codeOf(method, "uri_too_long"),
      });
      expect(await refusalOf(service, method, `${path}?${"a&".repeat(2_000)}`)).toEqual({
        status: 400,
        code: codeOf(method, "invalid_parameter"),
      });
    });

    it("and a request of the largest size is accepted", async () => {
      const ids = Array.from({ length: 100 }, (_, n) => String(n).padStart(128, "x")).join(",");
      expect((await service.fetch("/health", { headers: { Cookie: "a".repeat(16_000) } })).status).toBe(200);
      const history = await service.fetch(`/api/history?project_id=${ids}`, {
        headers: { Authorization: `Bearer ${env["SUBSCRIBE_TOKEN"] ?? "j".repeat(8_192)}` },
      });
      expect(history.status).toBe(200);
      const repeated = Array.from({ length: 100 }, (_, n) => `types=t${n}&project_id=${n}&agent_id=${n}`);
      const each = await service.fetch(`/api/history?${repeated.join("&")}`, {
        headers: { Authorization: `Bearer ${env["SUBSCRIBE_TOKEN"] ?? ""}` },
      });
      expect(each.status).toBe(200);
      const event = { type: "tick", data: 1 };
      const batch = Array.from({ length: 1_000 }, () => ({ ...event, data: "x".repeat(1_000) }));
      const answer = await service.post(JSON.stringify(batch), { authorization: `Bearer ${publishToken}` });
      expect(answer.status).toBe(200);
    });
  });
});
