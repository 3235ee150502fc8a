import { beforeEach, describe, expect, it } from "vitest";

import { MemoryService, type Sent } from "../../support/service/memory-service.ts";

let service: MemoryService;

beforeEach(() => {
  service = new MemoryService({ config: { channels: { allowed: ["*"] } } });
});

const list = (count: number): string => Array.from({ length: count }, (_, n) => `x${n}`).join(",");

/** The status, the code and the fields of a refusal. */
async function refusalOf(path: string, sent: Sent = {}): Promise<[number, string, (string | undefined)[]]> {
  const response = await service.send(path, sent);
  const { code, errors = [] } = (await response.json()) as {
    code: string;
    errors?: readonly { field?: string }[];
  };
  return [response.status, code, errors.map(({ field }) => field)];
}

/** Checks that a refused request has created no hub and entered no channel. */
function expectNothingHappened(): void {
  expect([service.host.existing.size, service.host.directory.known.size]).toEqual([0, 0]);
}

/** Malformed queries for events, and the parameter that each refusal names. */
const FILTERS: [parameter: string, query: string][] = [
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
  ["agent_id", `agent_id=${list(101).replaceAll(",", "%2C")}`],
  ["channel", "channel="],
  ["channel", "channel=UPPER"],
  ["channel", "channel=a%20b"],
  ["channel", "channel=a&channel=b"],
  ["unknown", "unknown=1"],
  ["type", "type=a"],
  ["Types", "Types=a"],
  ["projectId", "projectId=1"],
  ["token", "token=x"],
  ["since", "since="],
  ["since", "since=5"],
  ["since", "since=-5m"],
  ["since", "since=1.5h"],
  ["since", "since=10M"],
  ["since", "since=366d"],
  ["since", "since=99999999999999999999s"],
  ["since", "since=yesterday"],
  ["since", "since=Earliest"],
  ["since", "since=2026-01-01"],
  ["since", "since=2026-01-01T00:00:00"],
  ["since", "since=2026-02-30T00:00:00Z"],
  ["since", "since=2026-01-01T00:00:00%2B99:00"],
  ["since", "since=1767225600"],
  ["since", "since=1h&since=2h"],
];

describe("A malformed query is 400 and names the parameter", () => {
  it.each(["/api/events", "/api/history"])("in GET %s", async (path) => {
    for (const [parameter, query] of FILTERS) {
      const expected = [400, "invalid_parameter", [parameter]];
      expect(await refusalOf(`${path}?${query}`), `?${query}`).toEqual(expected);
    }
    expectNothingHappened();
  });

  it("in GET /api/events alone", async () => {
    for (const query of [
      "on_busy=",
      "on_busy=wait",
      "on_busy=stream&on_busy=stream2",
      "envelope=true",
      "limit=1",
      "after=1",
    ]) {
      const expected = [400, "invalid_parameter", [query.split("=")[0]]];
      expect(await refusalOf(`/api/events?${query}`), `?${query}`).toEqual(expected);
    }
    expectNothingHappened();
  });

  it("in GET /api/history alone", async () => {
    for (const query of [
      "limit=0",
      "limit=1001",
      "limit=-1",
      "limit=1.5",
      "limit=x",
      "limit=",
      "limit=1e2",
      "limit=0x10",
      "limit=%2010",
      `limit=${"9".repeat(400)}`,
      "limit=1&limit=2",
      "after=1&after=2",
      "befor=1",
      "last_event_id=1",
      "on_busy=stream",
    ]) {
      const expected = [400, "invalid_parameter", [query.split("=")[0]]];
      expect(await refusalOf(`/api/history?${query}`), `?${query}`).toEqual(expected);
    }
  });

  it("in a request for the administration", async () => {
    for (const [method, path] of [
      ["POST", "/api/admin/drain?unknown=1"],
      ["POST", "/api/admin/resume?unknown=1"],
      ["POST", "/api/admin/resume?for_seconds=1"],
      ["GET", "/api/admin/clients?unknown=1"],
      ["DELETE", "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f?unknown=1"],
    ] as const) {
      const [status, code] = await refusalOf(path, { method, token: "admin" });
      expect([status, code], `${method} ${path}`).toEqual([400, "invalid_parameter"]);
    }
    expectNothingHappened();
  });

  it("in a publish", async () => {
    const sent = { method: "POST", token: "publish", body: { type: "a", data: 1 } };
    for (const query of ["unknown=1", "types=a", "channel=a&channel=b", "channel=", "channel=A"]) {
      const [status, code] = await refusalOf(`/api/publish?${query}`, sent);
      expect([status, code], `?${query}`).toEqual([400, "invalid_parameter"]);
    }
    expectNothingHappened();
  });
});

/** Sends a body as it is. */
function publish(body: string, contentType: string): Promise<[number, string, (string | undefined)[]]> {
  const headers = { "Content-Type": contentType };
  return refusalOf("/api/publish", { method: "POST", token: "publish", headers, body });
}

describe("A malformed body is 400, and nothing of it is stored", () => {
  it("as JSON", async () => {
    for (const body of [
      "",
      "  \n ",
      "nonsense",
      '{"type":"a",',
      '[{"type":"a","data":1}',
      '[{"type":"a","data":1}] x',
      '{"type":"a","data":1}{"type":"a","data":1}',
      '{"type":"a","data":1}\n{"type":"a","data":1}',
      '{"type":"a","data":1} // one',
      '[{"type":"a","data":1},]',
      "{'type':'a','data':1}",
      '{"type":"a","data":NaN}',
      "[]",
    ]) {
      expect((await publish(body, "application/json")).slice(0, 2), `${body}`).toEqual([400, "invalid_body"]);
    }
    expectNothingHappened();
  });

  it("as NDJSON", async () => {
    for (const [body, code] of [
      ["", "invalid_body"],
      ["\n\r\n  \n", "invalid_body"],
      ["nonsense\n", "invalid_event"],
      ['{"type":"a","data":1}\n{"type":\n', "invalid_event"],
      ['[{"type":"a","data":1}]\n', "invalid_event"],
      ['{"type":"a",\n"data":1}\n', "invalid_event"],
      ['{"type":"a","data":1} {"type":"a","data":1}\n', "invalid_event"],
      ["7\n", "invalid_event"],
      ['{"type":"a","data":1,"unknown":1}\n', "invalid_event"],
    ] as const) {
      expect((await publish(body, "application/x-ndjson")).slice(0, 2), `${body}`).toEqual([400, code]);
    }
    expectNothingHappened();
  });

  it("with one invalid event, whose field is named", async () => {
    for (const [field, event] of [
      [undefined, "null"],
      [undefined, "1"],
      [undefined, '"a"'],
      [undefined, "true"],
      [undefined, '[{"type":"a","data":1}]'],
      ["text", '{"type":"a","data":1,"text":"a"}'],
      ["text", '{"text":""}'],
      ["text", '{"text":"a\\u0000"}'],
      ["text", '{"text":1}'],
      ["data", '{"type":"a"}'],
      ["type", '{"type":1,"data":1}'],
      ["type", '{"type":null,"data":1}'],
      ["type", '{"type":["a"],"data":1}'],
      ["type", '{"type":"gap","data":1}'],
      ["type", '{"type":"a\\nid: 7","data":1}'],
      ["unknown", '{"type":"a","data":1,"unknown":1}'],
      ["projectId", '{"type":"a","data":1,"projectId":1}'],
      ["id", '{"type":"a","data":1,"id":"7"}'],
      ["retry", '{"type":"a","data":1,"retry":7}'],
      ["__proto__", '{"type":"a","data":1,"__proto__":{"x":1}}'],
      ["constructor", '{"type":"a","data":1,"constructor":1}'],
      ["data", '{"type":"a","data":1e999}'],
      ["data", '{"type":"a","data":{"a":[{"b":-1e999}]}}'],
      ["channel", '{"type":"a","data":1,"channel":"No Name"}'],
      ["channel", '{"type":"a","data":1,"channel":""}'],
      ["channel", '{"type":"a","data":1,"channel":7}'],
      ["key", '{"type":"a","data":1,"key":""}'],
      ["key", '{"type":"a","data":1,"key":7}'],
      ["key", '{"type":"a","data":1,"key":"a\\nb"}'],
      ["key", '{"type":"a","data":1,"key":"a\\u0000b"}'],
      ["project_id", '{"type":"a","data":1,"project_id":""}'],
      ["project_id", '{"type":"a","data":1,"project_id":"a,b"}'],
      ["agent_id", '{"type":"a","data":1,"agent_id":0.5}'],
      ["agent_id", '{"type":"a","data":1,"agent_id":9007199254740993}'],
    ] as const) {
      const body = `[{"type":"a","data":1},${event},{"type":"a","data":1}]`;
      expect(await publish(body, "application/json"), `${event}`).toEqual([400, "invalid_event", [field]]);
    }
    expectNothingHappened();
  });
});

/** Every route with a channel. */
const OF_A_CHANNEL: [method: string, path: string, token?: string][] = [
  ["GET", "/api/events"],
  ["HEAD", "/api/events"],
  ["GET", "/api/history"],
  ["GET", "/health"],
  ["GET", "/metrics"],
  ["POST", "/api/publish", "publish"],
  ["GET", "/api/admin/clients", "admin"],
  ["POST", "/api/admin/drain", "admin"],
  ["POST", "/api/admin/resume", "admin"],
  ["DELETE", "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f", "admin"],
];

/** The status, and the code unless the answer has no body. */
async function channelRefusal(
  [method, path, token]: (typeof OF_A_CHANNEL)[number],
  channel: string,
): Promise<[number, string | null]> {
  const body = method === "POST" && path === "/api/publish" ? { type: "a", data: 1 } : undefined;
  const sent = { method, ...(token !== undefined && { token }), ...(body !== undefined && { body }) };
  const response = await service.send(`${path}?channel=${channel}`, sent);
  const text = await response.text();
  return [response.status, method === "HEAD" ? null : (JSON.parse(text) as { code: string }).code];
}

describe("Every route with a channel", () => {
  it("answers 404 for a channel that is not allowed, and creates no hub", async () => {
    service = new MemoryService({ config: { channels: { allowed: ["default", "exact", "board-*"] } } });
    for (const route of OF_A_CHANNEL) {
      for (const channel of ["other", "exactly", "board", "defaul"]) {
        const code = route[0] === "HEAD" ? null : "unknown_channel";
        expect(await channelRefusal(route, channel), `${route[0]} ${route[1]}`).toEqual([404, code]);
      }
    }
    expectNothingHappened();
  });

  it("answers 400 for a malformed name", async () => {
    for (const route of OF_A_CHANNEL) {
      for (const channel of [
        "",
        "A",
        "-a",
        "_a",
        "a.b",
        "a%20b",
        "a%0a",
        "%C5%BC",
        "a,b",
        "x".repeat(65),
        "a*",
      ]) {
        const code = route[0] === "HEAD" ? null : "invalid_parameter";
        expect(await channelRefusal(route, channel), `${route[0]} ${route[1]}?channel=${channel}`).toEqual([
          400,
          code,
        ]);
      }
    }
    expectNothingHappened();
  });
});
