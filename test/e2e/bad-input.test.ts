import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

const list = (count: number): string => Array.from({ length: count }, (_, n) => `x${n}`).join(",");

let idBefore: string;

beforeEach(async () => {
  idBefore = (await service.health()).sse.last_event_id;
});

/** Whatever was wrong: nothing was stored and nobody was registered. */
async function expectNothingHappened(): Promise<void> {
  const { sse, status } = await service.health();
  expect({ status, id: sse.last_event_id, clients: sse.active_connections }).toEqual({
    status: "healthy",
    id: idBefore,
    clients: 0,
  });
}

describe("A malformed filter is 400 and names the parameter", () => {
  const filters: [parameter: string, query: string][] = [
    ["types", "types=a,,b"],
    ["types", "types=a,"],
    ["types", "types=,a"],
    ["types", "types=,"],
    ["types", "types=a*b"],
    ["types", "types=*a"],
    ["types", "types=a**"],
    ["types", "types=**"],
    ["types", "types=a%20b"],
    ["types", "types=%20a"],
    ["types", "types=-a"],
    ["types", "types=a%0Ab"],
    ["types", "types=a%00"],
    ["types", "types=%C5%BC"],
    ["types", `types=${"a".repeat(65)}`],
    ["types", `types=${list(101)}`],
    ["types", `types=${list(60)}&types=${list(60)}`],
    ["project_id", "project_id="],
    ["project_id", "project_id=1,,2"],
    ["project_id", "project_id=1,"],
    ["project_id", "project_id=,"],
    ["project_id", "project_id=1&project_id="],
    ["project_id", `project_id=${"a".repeat(129)}`],
    ["project_id", "project_id=a%0Ab"],
    ["project_id", "project_id=a%00b"],
    ["project_id", `project_id=${list(101)}`],
    ["agent_id", "agent_id="],
    ["agent_id", "agent_id=,1"],
    ["agent_id", `agent_id=${"a".repeat(129)}`],
    ["agent_id", `agent_id=${list(101)}`],
    ["channel", "channel="],
    ["channel", "channel=UPPER"],
    ["channel", "channel=a%20b"],
    ["unknown", "unknown=1"],
    ["type", "type=a"],
    ["Types", "Types=a"],
    ["projectId", "projectId=1"],
    ["token", "token=x"],
  ];

  it.each(filters)("%s in /api/events?%s", async (parameter, query) => {
    const problem = await problemOf(await service.fetch(`/api/events?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(JSON.stringify([problem.detail, problem.errors])).toContain(parameter);
    await expectNothingHappened();
  });

  it.each(filters.filter(([parameter]) => parameter !== "token"))(
    "%s in /api/history?%s",
    async (parameter, query) => {
      const problem = await problemOf(await service.fetch(`/api/history?${query}`));
      expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(JSON.stringify([problem.detail, problem.errors])).toContain(parameter);
    },
  );

  it.each([
    "since=",
    "since=5",
    "since=s",
    "since=0s",
    "since=-5m",
    "since=1.5h",
    "since=10%20m",
    "since=10M",
    "since=1w",
    "since=366d",
    "since=8761h",
    "since=99999999999999999999s",
    "since=yesterday",
    "since=Earliest",
    "since=2026-01-01",
    "since=2026-01-01T00:00:00",
    "since=2026-13-01T00:00:00Z",
    "since=2026-02-30T00:00:00Z",
    "since=2026-01-01T25:00:00Z",
    "since=2026-01-01T00:00:00%2B99:00",
    "since=1767225600",
    "since=1h&since=2h",
    "on_busy=",
    "on_busy=wait",
    "on_busy=stream&on_busy=stream2",
  ])("/api/events?%s", async (query) => {
    const problem = await problemOf(await service.fetch(`/api/events?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(JSON.stringify([problem.detail, problem.errors])).toContain(query.split("=")[0]);
    await expectNothingHappened();
  });

  it.each([
    "limit=0",
    "limit=1001",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=",
    "limit=1e2",
    "limit=1&limit=2",
    "after=1&after=2",
    "on_busy=stream",
  ])("/api/history?%s", async (query) => {
    const problem = await problemOf(await service.fetch(`/api/history?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(JSON.stringify([problem.detail, problem.errors])).toContain(query.split("=")[0]);
  });

  it.each([
    ["POST", "/api/admin/drain?unknown=1"],
    ["POST", "/api/admin/resume?unknown=1"],
    ["POST", "/api/admin/resume?for_seconds=1"],
    ["GET", "/api/admin/clients?unknown=1"],
    ["DELETE", "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f?unknown=1"],
  ])("%s %s", async (method, path) => {
    const answer = await service.admin(path, { method });
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_parameter" });
    await expectNothingHappened();
  });
});

describe("A malformed body is 400, and nothing of it is stored", () => {
  const asJson: [what: string, body: string][] = [
    ["an empty body", ""],
    ["blanks", "  \n "],
    ["no JSON", "nonsense"],
    ["half an object", '{"type":"a",'],
    ["half an array", '[{"type":"a","data":1}'],
    ["two values", '{"type":"a","data":1}{"type":"a","data":1}'],
    ["lines", '{"type":"a","data":1}\n{"type":"a","data":1}'],
    ["a comment", '{"type":"a","data":1} // one'],
    ["a trailing comma", '[{"type":"a","data":1},]'],
    ["single quotes", "{'type':'a','data':1}"],
    ["NaN", '{"type":"a","data":NaN}'],
    ["an empty array", "[]"],
    ["null", "null"],
    ["a number", "1"],
    ["a string", '"a"'],
    ["true", "true"],
    ["an array of numbers", "[1]"],
    ["an array with null", '[{"type":"a","data":1},null]'],
    ["an array in an array", '[[{"type":"a","data":1}]]'],
    ["an empty object", "{}"],
    ["no type", '{"data":1}'],
    ["no data", '{"type":"a"}'],
    ["a type that is a number", '{"type":1,"data":1}'],
    ["a type that is null", '{"type":null,"data":1}'],
    ["a type that is an array", '{"type":["a"],"data":1}'],
    ["an unknown member", '{"type":"a","data":1,"unknown":1}'],
    ["an id of its own", '{"type":"a","data":1,"id":"7"}'],
    ["a retry of its own", '{"type":"a","data":1,"retry":7}'],
    ["a member __proto__", '{"type":"a","data":1,"__proto__":{"x":1}}'],
    ["a member constructor", '{"type":"a","data":1,"constructor":1}'],
    ["a number that overflows", '{"type":"a","data":1e999}'],
    ["a number that overflows deep inside", '{"type":"a","data":{"a":[{"b":-1e999}]}}'],
    ["a channel that is no name", '{"type":"a","data":1,"channel":"No Name"}'],
    ["a channel that is empty", '{"type":"a","data":1,"channel":""}'],
    ["a channel that is a number", '{"type":"a","data":1,"channel":7}'],
    ["a key that is empty", '{"type":"a","data":1,"key":""}'],
    ["a key that is a number", '{"type":"a","data":1,"key":7}'],
    ["a key with a line end", '{"type":"a","data":1,"key":"a\\nb"}'],
    ["a key with NUL", '{"type":"a","data":1,"key":"a\\u0000b"}'],
    ["a project_id that is empty", '{"type":"a","data":1,"project_id":""}'],
    ["a project_id with a comma", '{"type":"a","data":1,"project_id":"a,b"}'],
    ["an agent_id that is a fraction", '{"type":"a","data":1,"agent_id":0.5}'],
    ["an agent_id beyond the safe integers", '{"type":"a","data":1,"agent_id":9007199254740993}'],
    [
      "one bad event among good ones",
      '[{"type":"a","data":1},{"type":"a b","data":1},{"type":"a","data":1}]',
    ],
  ];

  it.each(asJson)("JSON: %s", async (_what, body) => {
    const problem = await problemOf(await service.post(body));
    expect(problem).toMatchObject({ status: 400, code: expect.stringMatching(/^invalid_(body|event)$/) });
    await expectNothingHappened();
  });

  it.each([
    ["an empty body", ""],
    ["blank lines only", "\n\r\n  \n"],
    ["no JSON", "nonsense\n"],
    ["a bad line after a good one", '{"type":"a","data":1}\n{"type":\n'],
    ["an array in a line", '[{"type":"a","data":1}]\n'],
    ["an event over two lines", '{"type":"a",\n"data":1}\n'],
    ["two events in a line", '{"type":"a","data":1} {"type":"a","data":1}\n'],
    ["a number", "7\n"],
    ["an unknown member", '{"type":"a","data":1,"unknown":1}\n'],
  ])("NDJSON: %s", async (_what, body) => {
    const problem = await problemOf(await service.post(body, { contentType: "application/x-ndjson" }));
    expect(problem).toMatchObject({ status: 400, code: expect.stringMatching(/^invalid_(body|event)$/) });
    await expectNothingHappened();
  });

  it.each(["application/json", "application/x-ndjson"])("invalid UTF-8 as %s", async (contentType) => {
    const encoder = new TextEncoder();
    for (const bad of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      const body = new Uint8Array([
        ...encoder.encode('{"type":"a","data":"'),
        ...bad,
        ...encoder.encode('"}'),
      ]);
      const problem = await problemOf(await service.post(body, { contentType }));
      expect(problem).toMatchObject({ status: 400, code: "invalid_body" });
    }
    await expectNothingHappened();
  });

  it("depth enough to exhaust a stack", async () => {
    const deep = `{"type":"a","data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    const answer = await service.post(deep, { query: "?channel=deep" });
    expect([200, 400]).toContain(answer.status);
    const stored = answer.status === 200 ? "1" : "0";
    expect((await service.health("deep")).sse.last_event_id).toBe(stored);
    await service.publish({ type: "a", data: 1 }, "deep");
  });

  it.each(["unknown=1", "types=a", "channel=a&channel=b", "channel=", "channel=A"])(
    "the query ?%s",
    async (query) => {
      const problem = await problemOf(await service.post('{"type":"a","data":1}', { query: `?${query}` }));
      expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
      await expectNothingHappened();
    },
  );

  it("is 415 without a content type", async () => {
    const answer = await service.post(new TextEncoder().encode('{"type":"a","data":1}'), {
      headers: { "Content-Type": "" },
    });
    expect(await problemOf(answer)).toMatchObject({ status: 415, code: "unsupported_media_type" });
    await expectNothingHappened();
  });
});

describe("An unknown route is 404", () => {
  it.each([
    "/api",
    "/api/",
    "/api/nothing",
    "/api/events/1",
    "/api/event",
    "/API/events",
    "/api/admin",
    "/api/admin/client",
    "/api/admin/clients/a/b",
    "/health/live",
    "/metrics/x",
    "/nothing.html",
    "/.dev.vars",
    "/.env",
    "/wrangler.toml",
    "/config.yaml",
    "/src/index.ts",
    "/..%2f.dev.vars",
    "/%2e%2e/.dev.vars",
    "/api/%00",
    "/%",
  ])("GET %s", async (path) => {
    const answer = await service.raw(path, { headers: { Connection: "close" } });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 404, code: "not_found" });
  });

  it.each(["POST", "PUT", "DELETE", "PATCH"])("%s /api/nothing, whatever the method", async (method) => {
    expect(await problemOf(await service.fetch("/api/nothing", { method }))).toMatchObject({ status: 404 });
  });
});

describe("A wrong method is 405 with Allow", () => {
  const routes: [path: string, allowed: string[]][] = [
    ["/api/events", ["GET", "HEAD"]],
    ["/api/publish", ["POST"]],
    ["/api/history", ["GET"]],
    ["/health", ["GET"]],
    ["/metrics", ["GET"]],
    ["/api/admin/clients", ["GET"]],
    ["/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f", ["DELETE"]],
    ["/api/admin/drain", ["POST"]],
    ["/api/admin/resume", ["POST"]],
  ];
  const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];

  it.each(
    routes.flatMap(([path, allowed]) =>
      methods.filter((method) => !allowed.includes(method)).map((method) => [method, path, allowed] as const),
    ),
  )("%s %s", async (method, path, allowed) => {
    const answer = await service.fetch(path, { method });
    const allow = (answer.headers.get("allow") ?? "").split(/, */);
    expect(allow).toEqual(expect.arrayContaining([...allowed]));
    expect(allow).not.toContain(method);
    expect(await problemOf(answer)).toMatchObject({ status: 405, code: "method_not_allowed" });
  });
});

describe("What breaks HTTP itself breaks nothing else", () => {
  it.each(["%%%", "a b", ":::", "[::1"])("Host: %s", async (host) => {
    const answer = await service.raw("/api/events", { headers: { Host: host, Connection: "close" } });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_request" });
  });

  it.each([
    ["a header of 64 KiB", { "X-Long": "x".repeat(64 * 1024) }],
    ["a Last-Event-ID of 16 KiB", { "Last-Event-ID": "9".repeat(16 * 1024) }],
  ])("%s is answered, and the service is there for the next one", async (_what, headers) => {
    const answer = await service.raw("/api/events?channel=long", { headers });
    expect([200, 400, 413, 431]).toContain(answer.status);
    answer.reset();
    await expectNothingHappened();
  });

  it("a query of 16 KiB is refused or read", async () => {
    const answer = await service.raw(`/api/events?types=${"x".repeat(16 * 1024)}`, {
      headers: { Connection: "close" },
    });
    expect([400, 414, 431]).toContain(answer.status);
    await expectNothingHappened();
  });
});
