import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../../support/problem.ts";
import { startService, type Service } from "../../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["default", "crlf-*", "sent-*"] } } });
});

afterAll(() => service.stop());

const publish = (event: string) => service.post(event, { query: "?channel=crlf-1" });

describe("A query can inject only values", () => {
  const parameters = [
    "types",
    "project_id",
    "agent_id",
    "channel",
    "since",
    "on_busy",
    "last_event_id",
    "lastEventId",
    "log",
    "ticket",
  ];
  const values: [what: string, value: string][] = [
    ["NUL", "a%00b"],
    ["CRLF", "a%0d%0aX-Injected:%201"],
    ["an event of its own", "a%0a%0aevent:%20x%0adata:%20injected%0a%0a"],
    ["CR alone", "a%0ddata:%20injected"],
    ["CRLF encoded twice", "a%250d%250ainjected"],
    ["overlong CRLF", "a%c0%8d%c0%8ainjected"],
    ["invalid UTF-8", "a%ff%fe"],
    ["a lone surrogate", "a%ed%a0%80"],
    ["a line separator", "a%e2%80%a8injected"],
    ["a byte order mark", "%ef%bb%bfinjected"],
    ["markup", "<script>alert(1)</script>"],
    ["a broken escape", "a%"],
    ["10 KB", "a".repeat(10_000)],
  ];

  it.each(parameters.flatMap((parameter) => values.map(([what, value]) => ({ parameter, what, value }))))(
    "a query with $what in $parameter injects nothing into the stream",
    async ({ parameter, value }) => {
      const answer = await service.raw(`/api/events?${parameter}=${value}`, {
        headers: { Connection: "close" },
      });
      expect([200, 400, 404]).toContain(answer.status);
      expect(Object.keys(answer.headers)).not.toContain("x-injected");
      await (answer.status === 200 ? answer.nextEvent({ type: "connected" }) : answer.untilClosed());
      expect(
        answer.events.map(({ type, data }) => [type, data.includes("injected") && type !== "gap"]),
      ).toEqual(answer.events.map(({ type }) => [type === "gap" ? "gap" : "connected", false]));
      expect(
        answer.text.split(/\r\n|\r|\n/).filter((line) => /^(data: )?injected|^X-Injected/.test(line)),
      ).toEqual([]);
      answer.reset();
    },
  );

  it.each(["Last-Event-ID", "Accept", "User-Agent", "Referer", "Cookie", "Origin"])(
    "1 MB, or strange bytes, in %s",
    async (name) => {
      for (const value of ["x".repeat(1_000_000), "\u00ff\u00fe", "%0d%0aX-Injected: 1", "a\tb"]) {
        const answer = await service
          .raw("/api/history", { headers: { [name]: value, Connection: "close" } })
          .catch(() => null);
        expect([200, 400, 406, 431, undefined]).toContain(answer?.status);
        answer?.reset();
      }
      expect((await service.health()).httpStatus).toBe(200);
    },
  );

  it.each<[what: string, path: string, headers: string]>([
    ["a target of 100 KB", `/health?${"x".repeat(100_000)}`, ""],
    ["1,000 headers", "/health", Array.from({ length: 1_000 }, (_, n) => `X-${n}: ${n}\r\n`).join("")],
    ["10,000 headers", "/health", Array.from({ length: 10_000 }, (_, n) => `X-${n}: ${n}\r\n`).join("")],
    ["one header without an end", "/health", `X: ${"x".repeat(2_000_000)}\r\n`],
    ["5,000 parameters", `/api/events?${Array.from({ length: 5_000 }, (_, n) => `p${n}=`).join("&")}`, ""],
    ["one parameter 5,000 times", `/api/events?${"types=a&".repeat(5_000)}types=a`, ""],
    [
      "20,000 parameters of a probe",
      `/health?${Array.from({ length: 9_000 }, (_, n) => n.toString(36)).join("&")}`,
      "",
    ],
  ])("%s is refused or accepted at once", async (_what, path, headers) => {
    const start = performance.now();
    const bytes = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`;
    const answer = await service.raw("/", { bytes }).catch(() => null);
    expect([200, 400, 414, 431, undefined]).toContain(answer?.status);
    expect(performance.now() - start).toBeLessThan(2_000);
    answer?.reset();
    expect((await service.health()).httpStatus).toBe(200);
  });
});

describe("An event cannot inject anything into a stream", () => {
  const ends = [
    "\\n",
    "\\r",
    "\\r\\n",
    "\\u0000",
    "\\u2028",
    "\\u2029",
    "\\u0085",
    "\\ufeff",
    "\\ud800",
    "\\u000b",
  ];

  it.each(ends)("a type with %s", async (end) => {
    const answer = await publish(`{"type":"a${end}data: injected","data":1}`);
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_event" });
  });

  it.each(ends.filter((end) => !["\\u2028", "\\u2029", "\\ufeff"].includes(end)))(
    "a key or an id with %s",
    async (end) => {
      for (const member of ["key", "project_id", "agent_id"]) {
        const answer = await publish(`{"type":"a","data":1,"${member}":"a${end}b"}`);
        expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_event" });
      }
    },
  );

  it.each([...ends, "\\n\\nevent: injected\\ndata: x\\n\\n", "\\n\\nid: 999\\n", "\\nretry: 1\\n"])(
    "data with %s comes as it was sent",
    async (end) => {
      const channel = `sent-${ends.indexOf(end)}-x`;
      const stream = await service.stream({ channel });
      const value = JSON.parse(`["a${end}b",{"a${end}":1}]`) as unknown;
      await service.post(`{"type":"a","data":["a${end}b",{"a${end}":1}]}`, { query: `?channel=${channel}` });
      const [event] = await stream.collect(1);
      expect(event?.type).toBe("a");
      expect(JSON.parse(event?.data ?? "")).toEqual(value);
      expect(stream.events.map(({ type }) => type)).toEqual(["connected", "a"]);
      stream.reset();
    },
  );

  it.each<[what: string, body: string]>([
    ["a prototype", '{"type":"a","data":1,"__proto__":{"channel":"default"}}'],
    ["a constructor", '{"type":"a","data":1,"constructor":{"prototype":{"key":"x"}}}'],
    ["a type that comes twice", '{"type":"a","type":"connected","data":1}'],
    ["a type of ours that comes last", '{"type":"a","data":1,"type":"close"}'],
    ["100,000 lists in each other", `{"type":"a","data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
    [
      "100,000 objects in each other",
      `{"type":"a","data":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
    ],
    ["100,000 lists without an end", "[".repeat(100_000)],
    ["100,000 lists as its type", `{"data":1,"type":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
    [
      "a number of 100,000 digits as its project",
      `{"type":"a","data":1,"project_id":${"9".repeat(100_000)}}`,
    ],
    ["a number beyond all", '{"type":"a","data":1e99999}'],
  ])("an event is refused that has %s", async (_what, body) => {
    const before = (await service.health("crlf-1")).sse.last_event_id;
    const answer = await publish(body);
    expect(await problemOf(answer)).toMatchObject({ status: 400 });
    expect((await service.health("crlf-1")).sse.last_event_id).toBe(before);
  });

  it("a key such as __proto__ in data is plain data", async () => {
    const data =
      '{"__proto__":{"project_id":"7"},"constructor":{"prototype":{"agent_id":"a"}},"hasOwnProperty":1}';
    const stream = await service.stream({ channel: "sent-proto" });
    const narrow = await service.stream({ channel: "sent-proto", project_id: "7" });
    await service.post(`[{"type":"a","data":${data}},{"type":"b","data":{"project_id":7}}]`, {
      query: "?channel=sent-proto",
    });
    expect((await stream.collect(2)).map((event) => event.data)).toEqual([data, '{"project_id":7}']);
    expect((await narrow.collect(1)).map(({ type }) => type)).toEqual(["b"]);
    stream.reset();
    narrow.reset();
  });
});
