import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { residentKilobytes } from "../../bench/process-usage.ts";
import { compileConfig } from "../../src/config/compile.ts";
import { configSchema } from "../../src/config/schema.ts";
import { jwtSecret, part, reading, tokenOf } from "./jwt.ts";
import { descendants } from "./processes.ts";
import { openRaw, type RawStream } from "./raw-stream.ts";
import { publishToken, startService, type PublishAnswer, type Service } from "./service.ts";

/** Inputs that are sent together: waiting for one answer at a time would take longer than everything else. */
const AT_ONCE = 10;

/**
 * What the runtime may hold in the end. Measured: it collects little before it has 400 MiB, after some 20,000 requests,
 * and then has 424 MiB from 35,000 inputs on to 70,000.
 */
const RESIDENT_KB = 600 * 1024;

/** `FUZZ_SEED=7 npm run test:soak` repeats a run; a failure prints its seed and its smallest input. */
const seed = process.env["FUZZ_SEED"];

const textOf = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ unit: "binary", maxLength }),
    fc.constantFrom(
      "",
      "*",
      ",",
      "%",
      "%00",
      "%0d%0a",
      "\n\ndata: x\n\n",
      "__proto__",
      "../..",
      "null",
      "NaN",
      "-1",
      "1e999",
    ),
    fc.constantFrom(
      "\u2028",
      "\ufeff",
      "\u0000",
      "a".repeat(300),
      "1",
      "default",
      "fuzz-1",
      "earliest",
      "turn_*",
    ),
  );

/** The routes, and the method of each. */
const routes = {
  "/": "GET",
  "/health": "GET",
  "/metrics": "GET",
  "/api/events": "GET",
  "/api/history": "GET",
  "/api/publish": "POST",
  "/api/tickets": "POST",
  "/api/admin/clients": "GET",
  "/api/admin/clients/x": "DELETE",
  "/api/admin/drain": "POST",
  "/api/admin/shutdown": "POST",
} as const;

function methodOf(path: string): string {
  return Object.hasOwn(routes, path) ? routes[path as keyof typeof routes] : "GET";
}

const parameters = [
  "types",
  "project_id",
  "agent_id",
  "channel",
  "last_event_id",
  "since",
  "log",
  "limit",
  "after",
  "on_busy",
  "ticket",
];

const headerNames = [
  "Accept",
  "Authorization",
  "Cookie",
  "Origin",
  "Last-Event-ID",
  "Content-Type",
  "Content-Encoding",
  "Stream-Request",
  "Sec-Fetch-Site",
  "Access-Control-Request-Method",
  "Range",
  "If-None-Match",
  "Upgrade",
  "Expect",
];

const headerValues = [
  "text/event-stream",
  "*/*;q=0",
  `Bearer ${publishToken}`,
  "Bearer x",
  "null",
  "application/json",
  "application/x-ndjson; charset=x",
  "gzip",
  "bytes=0-",
  "websocket",
  "100-continue",
];

/** Any request, as bytes. Most parts resemble a valid request, the rest is random. */
const requests = fc
  .record({
    method: fc.oneof(
      { weight: 12, arbitrary: fc.constant("") },
      { weight: 8, arbitrary: fc.constantFrom("GET", "POST", "HEAD", "DELETE", "OPTIONS", "PUT") },
      { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 10 }) },
    ),
    path: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...Object.keys(routes)) },
      { weight: 1, arbitrary: fc.webPath() },
      { weight: 1, arbitrary: textOf(40) },
    ),
    query: fc.array(fc.tuple(fc.oneof(fc.constantFrom(...parameters), textOf(20)), textOf(60), fc.nat(9)), {
      maxLength: 6,
    }),
    headers: fc.array(
      fc.tuple(
        fc.oneof(
          { weight: 20, arbitrary: fc.constantFrom(...headerNames) },
          { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
        ),
        fc.oneof(
          { weight: 10, arbitrary: fc.constantFrom(...headerValues) },
          { weight: 5, arbitrary: fc.string({ maxLength: 60 }) },
          { weight: 1, arbitrary: textOf(60) },
        ),
      ),
      { maxLength: 8 },
    ),
    body: fc.option(
      fc.oneof(
        textOf(200),
        fc.json(),
        fc.json().map((data) => `{"type":"a","data":${data}}`),
      ),
      { nil: null },
    ),
  })
  .map(({ method, path, query, headers, body }) => {
    const asked = query.map(([name, value, encoded]) =>
      encoded > 0 ? `${encode(name)}=${encode(value)}` : `${name}=${value}`,
    );
    const target = asked.length === 0 ? path : `${path}?${asked.join("&")}`;
    const lines = headers.map(([name, value]) => `${name}: ${value}`);
    const length = body === null ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
    const head = [
      `${method || methodOf(path)} ${target} HTTP/1.1`,
      "Host: localhost",
      "Connection: close",
      ...length,
      ...lines,
    ];
    return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body ?? ""}`);
  });

/** Half of a character cannot be percent-encoded. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

const member = (known: readonly string[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    { weight: 2, arbitrary: textOf(40) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );

/** Any event: mostly one that is taken. */
const events = fc.record(
  {
    type: member(["a", "turn_x", "A.b:c-d", "close", "connected"]),
    data: fc.oneof(
      fc.jsonValue(),
      textOf(60),
      fc.constantFrom({ project_id: "7", __proto__: { x: 1 } }, "\n\nevent: x\n\n", "\ud800", -0),
    ),
    project_id: member(["7", "a"]),
    agent_id: member(["7", "a"]),
  },
  { requiredKeys: ["type", "data"] },
);

/** A genuine token that was tampered with, and what only looks like one. */
const tokens = (genuine: string): fc.Arbitrary<string> => {
  const [header = "", payload = "", signature = ""] = genuine.split(".");
  const json = fc.oneof(
    fc.json(),
    fc
      .record(
        {
          alg: fc.oneof(fc.constantFrom("HS256", "none", "RS256"), textOf(10)),
          kid: fc.jsonValue(),
          crit: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  );
  const any = fc.oneof(
    json.map(part),
    textOf(40),
    fc.base64String({ maxLength: 60 }),
    fc.constantFrom("", header, payload, signature),
  );
  return fc.oneof(
    fc.tuple(any, any, any).map((parts) => parts.join(".")),
    fc
      .tuple(fc.nat(genuine.length - 1), textOf(3))
      .map(([at, text]) => genuine.slice(0, at) + text + genuine.slice(at + 1)),
    fc
      .tuple(fc.nat(genuine.length - 1), fc.nat(9))
      .map(([at, count]) => genuine.slice(0, at) + genuine.slice(at + count)),
    fc.tuple(any, fc.constant(signature)).map(([forged]) => `${header}.${forged}.${signature}`),
    fc.tuple(any, fc.constant(payload)).map(([forged]) => `${forged}.${payload}.${signature}`),
    fc.array(any, { maxLength: 6 }).map((parts) => parts.join(".")),
    textOf(200),
  );
};

const yamlKeys = [
  "sse",
  "channels",
  "allowed",
  "auth",
  "jwt",
  "subscribe",
  "cors",
  "allowed_origins",
  "limits",
  "history",
  "max_events",
  "jwks",
  "keys",
  "algorithm",
  "exempt_addresses",
  "trusted_proxies",
];

/** Any text, and texts that resemble a configuration. */
const yamls = fc.oneof(
  textOf(200),
  fc
    .dictionary(
      fc.oneof(fc.constantFrom(...yamlKeys), fc.string({ maxLength: 10 })),
      fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...yamlKeys), fc.jsonValue())),
    )
    .map((value) => JSON.stringify(value)),
  fc
    .array(
      fc.tuple(
        fc.nat(3),
        fc.constantFrom(...yamlKeys, "?", "- a", "&a", "*a", "<<: *a", "!!js", "|", ">"),
        fc.constantFrom(":", ": 1", ": [", ": {}", ": public", ": *a", ""),
      ),
    )
    .map((lines) => lines.map(([depth, key, rest]) => `${"  ".repeat(depth)}${key}${rest}`).join("\n")),
);

/** Checks a property for this many inputs, `AT_ONCE` at a time. */
async function each<Input>(
  inputs: number,
  arbitrary: fc.Arbitrary<Input>,
  check: (batch: readonly Input[]) => Promise<void>,
): Promise<void> {
  const batches = fc.array(arbitrary, { minLength: AT_ONCE, maxLength: AT_ONCE });
  await fc.assert(fc.asyncProperty(batches, check), {
    numRuns: Math.ceil(inputs / AT_ONCE),
    ...(seed !== undefined && { seed: Number(seed) }),
    interruptAfterTimeLimit: 600_000,
    markInterruptAsFailure: true,
    endOnFailure: inputs > 10_000,
  });
}

/** The fuzz lane, with so many inputs in all. */
export function fuzz(inputs: number): void {
  describe("Of random inputs", () => {
    let service: Service;

    const resident = (): number => Math.max(...descendants(service.pid).map((pid) => residentKilobytes(pid)));

    beforeAll(async () => {
      service = await startService({
        config: {
          channels: { allowed: ["default", "fuzz-*"] },
          sse: { max_connections: 1_000 },
          history: { max_events: 1_000 },
          limits: { max_stream_age_seconds: 0 },
          auth: { subscribe: ["public"], metrics: "jwt" },
          cors: { allowed_origins: ["https://*.example.com"] },
          logging: { level: "warn" },
        },
        env: { JWT_SECRET: jwtSecret },
      });
    });

    afterAll(() => service.stop());

    /** No input made the service grow without bound or met a bug. */
    afterEach(async () => {
      expect((await service.health()).status).toBe("healthy");
      expect(service.output).not.toContain("request_failed");
      expect(resident()).toBeLessThan(RESIDENT_KB);
    });

    it("no request breaks anything", async () => {
      await each(inputs * 0.4, requests, (batch) => send(service, batch));
      expect((await service.health()).status).toBe("healthy");
    }, 600_000);

    it("no event comes out as anything but itself", async () => {
      const stream = await service.stream({ channel: "fuzz-events" });
      await each(inputs * 0.3, events, (batch) => publishAll(service, stream, batch));
      expect(stream.closed).toBe(false);
      stream.reset();
    }, 600_000);

    it("no token lets anybody in", async () => {
      const genuine = await tokenOf({ ...reading, edge_sse: { metrics: true } });
      await expect(statusWith(service, genuine)).resolves.toBe(200);
      await each(inputs * 0.2, tokens(genuine), async (batch) => {
        const forged = batch.filter((token) => !saysTheSame(token.trim(), genuine));
        const statuses = await Promise.all(forged.map((token) => statusWith(service, token)));
        expect(statuses.filter((status) => status !== 401 && status !== 400)).toEqual([]);
      });
    }, 600_000);

    it("no configuration breaks the compiler, or gets past the schema", async () => {
      await each(inputs * 0.1, yamls, async (batch) => {
        for (const text of batch) {
          const { config, mistakes } = compileConfig(text, "config.yaml");
          expect(config === undefined ? mistakes.length : 1).toBeGreaterThan(0);
          expect(config === undefined || configSchema.safeParse(config).success).toBe(true);
        }
      });
    }, 600_000);
  });
}

async function send(service: Service, batch: readonly Buffer[]): Promise<void> {
  const answers = await Promise.all(
    batch.map((bytes) => openRaw(service.url, { bytes }).catch(refusedByRuntime)),
  );
  for (const answer of answers) {
    expect(answer?.status ?? 400).not.toBe(500);
    expect(answer?.text ?? "").not.toContain("hub_unreachable");
    answer?.reset();
  }
}

/** Bytes that are not HTTP may be answered by closing the connection. Every other request gets an answer. */
function refusedByRuntime(error: unknown): null {
  if (error instanceof Error && error.message.startsWith("Waited")) {
    throw error;
  }
  return null;
}

async function publishAll(service: Service, stream: RawStream, batch: readonly object[]): Promise<void> {
  const before = stream.events.length;
  const taken: { id: string; type: unknown; data: unknown }[] = [];
  const refusals: number[] = [];
  for (const event of batch) {
    const body = JSON.stringify(event);
    const answer = await service.post(body, { query: "?channel=fuzz-events" });
    if (answer.status === 200) {
      const {
        events: [receipt],
      } = (await answer.json()) as PublishAnswer;
      const { type, data } = JSON.parse(body) as { type: unknown; data: unknown };
      taken.push({ id: receipt?.id ?? "", type, data });
    } else {
      refusals.push(answer.status);
      await answer.body?.cancel();
    }
  }
  const {
    events: [mark],
  } = await service.publish({ type: "mark", data: null }, "fuzz-events");
  while ((await stream.nextEvent()).id !== mark?.id) {
    // Everything before the mark has come.
  }
  expect(refusals.filter((status) => status !== 400)).toEqual([]);
  const came = stream.events.slice(before).filter(({ type }) => type !== "connected" && type !== "mark");
  expect(came.map(({ id, type, data }) => ({ id, type, data: JSON.parse(data) as unknown }))).toEqual(taken);
}

/** Another spelling of the same bytes is no other token: the last character of base64url has bits to spare. */
function saysTheSame(token: string, genuine: string): boolean {
  const [signed, of] = [token, genuine].map((text) => text.slice(0, text.lastIndexOf(".")));
  const [signature, known] = [token, genuine].map((text) =>
    Buffer.from(text.split(".")[2] ?? "", "base64url"),
  );
  return signed === of && signature !== undefined && known?.equals(signature) === true;
}

/** The status that a token gets. A token that is not a valid header value is sent unchanged, too. */
async function statusWith(service: Service, token: string): Promise<number> {
  const bytes = Buffer.from(
    `GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  const answer = await openRaw(service.url, { bytes }).catch(refusedByRuntime);
  answer?.reset();
  return answer?.status ?? 400;
}
