import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { publishToken, startService, type Service } from "../support/service.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["default", "pub-*"] } } });
});

afterAll(() => service.stop());

const event = (data: unknown = 1, more: object = {}): string => JSON.stringify({ type: "a", data, ...more });
const ndjson = "application/x-ndjson";

async function head(channel: string): Promise<string> {
  return (await service.health(channel)).sse.last_event_id;
}

async function answered(answer: Response): Promise<unknown> {
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toMatch(/^application\/json(;|$)/);
  return answer.json();
}

/** The number of events of this channel that match the id. */
async function matching(field: string, id: string, channel: string): Promise<number> {
  const answer = await service.fetch(`/api/history?channel=${channel}&${field}=${encodeURIComponent(id)}`);
  return ((await answer.json()) as { events: unknown[] }).events.length;
}

const padded = (size: number): string => event().padEnd(size, " ");

const many = (count: number): string =>
  JSON.stringify(Array.from({ length: count }, () => ({ type: "a", data: 1 })));

describe("Publishing: POST /api/publish", () => {
  it("answers one event with its id, its type and that it is new", async () => {
    expect(await answered(await service.post(event(), { query: "?channel=pub-one" }))).toEqual({
      events: [{ id: "1", type: "a", duplicate: false }],
    });
  });

  it("answers an array in its order", async () => {
    const body = JSON.stringify([
      { type: "a", data: 1 },
      { type: "b", data: 2 },
    ]);
    expect(await answered(await service.post(body, { query: "?channel=pub-array" }))).toEqual({
      events: [
        { id: "1", type: "a", duplicate: false },
        { id: "2", type: "b", duplicate: false },
      ],
    });
  });

  it("takes one event per line as NDJSON, and skips blank lines", async () => {
    const body = `\n${event(1)}\r\n\n  \n${event(2)}\n\n`;
    expect(
      await answered(await service.post(body, { contentType: ndjson, query: "?channel=pub-nd" })),
    ).toMatchObject({ events: [{ id: "1" }, { id: "2" }] });
  });

  it("takes a content type with parameters and in any case", async () => {
    for (const contentType of [
      "application/json; charset=utf-8",
      "Application/JSON",
      `${ndjson};charset=UTF-8`,
    ]) {
      expect((await service.post(event(), { contentType, query: "?channel=pub-ct" })).status).toBe(200);
    }
    expect(await head("pub-ct")).toBe("3");
  });

  it("carries data by value, as JavaScript reads it", async () => {
    const stream = await service.stream({ channel: "pub-value" });
    await service.post('{"type":"a","data":{"b":1.0,  "a":1e3,"b":12345678901234567890}}', {
      query: "?channel=pub-value",
    });
    expect((await stream.nextEvent({ type: "a" })).data).toBe('{"b":12345678901234567000,"a":1000}');
  });

  it("sends to the channel of the event rather than that of the query", async () => {
    await service.post(event(1, { channel: "pub-event" }), { query: "?channel=pub-query" });
    expect([await head("pub-event"), await head("pub-query")]).toEqual(["1", "0"]);
  });

  it("takes the channel of the query for the events that name none, and refuses a mix", async () => {
    const body = JSON.stringify([
      { type: "a", data: 1, channel: "pub-mix" },
      { type: "a", data: 2 },
    ]);
    expect((await service.post(body, { query: "?channel=pub-mix" })).status).toBe(200);
    expect(await problemOf(await service.post(body))).toMatchObject({ status: 400, code: "mixed_channels" });
    const other = JSON.stringify([
      { type: "a", data: 1, channel: "pub-mix" },
      { type: "a", data: 2, channel: "pub-mix2" },
    ]);
    expect(await problemOf(await service.post(other))).toMatchObject({ status: 400, code: "mixed_channels" });
    expect([await head("pub-mix"), await head("pub-mix2")]).toEqual(["2", "0"]);
  });

  it("stores all of a batch or none, and lists what is wrong with index, field and detail", async () => {
    const body = JSON.stringify([
      { type: "a", data: 1 },
      { type: "connected", data: 2 },
      { type: "a" },
      { type: "a", data: 3, project_id: "a,b" },
    ]);
    const problem = await problemOf(await service.post(body, { query: "?channel=pub-none" }));
    expect(problem).toMatchObject({ status: 400, code: "invalid_event" });
    expect(problem.errors).toEqual([
      { index: 1, field: "type", detail: expect.stringMatching(/\S/) },
      { index: 2, field: "data", detail: expect.stringMatching(/\S/) },
      { index: 3, field: "project_id", detail: expect.stringMatching(/\S/) },
    ]);
    expect(await head("pub-none")).toBe("0");
  });

  it("names the line of a mistake in NDJSON, blank lines counted", async () => {
    const body = `${event()}\n\n${event(1, { type: "close" })}\n`;
    const problem = await problemOf(
      await service.post(body, { contentType: ndjson, query: "?channel=pub-none" }),
    );
    expect(problem).toMatchObject({ status: 400, code: "invalid_event" });
    expect(problem.errors).toEqual([{ line: 3, field: "type", detail: expect.any(String) }]);
    expect(await head("pub-none")).toBe("0");
  });

  it.each(["connected", "gap", "error", "close", "heartbeat", "open"])(
    "refuses the type %s",
    async (type) => {
      expect(await problemOf(await service.post(event(1, { type })))).toMatchObject({
        status: 400,
        code: "invalid_event",
      });
    },
  );

  it.each(["a", "_", "0", "A.b:c-d_e", "connected2", "Error", `a${"b".repeat(63)}`])(
    "takes the type %s",
    async (type) => {
      const answer = await service.post(event(1, { type }), { query: "?channel=pub-types" });
      expect(await answered(answer)).toMatchObject({ events: [{ type }] });
    },
  );

  it("refuses a type of 65 characters", async () => {
    expect(await problemOf(await service.post(event(1, { type: "a".repeat(65) })))).toMatchObject({
      status: 400,
      code: "invalid_event",
    });
  });
});

describe("Publishing: project_id and agent_id", () => {
  it.each(["project_id", "agent_id"])("are taken from the event, else from data (%s)", async (field) => {
    const channel = `pub-${field.replace("_", "-")}`;
    await service.post(event({ other: "in-data" }, { [field]: "in-event" }), {
      query: `?channel=${channel}`,
    });
    await service.post(event({ [field]: "in-data" }), { query: `?channel=${channel}` });
    await service.post(event({ [field]: "in-data" }, { [field]: null }), { query: `?channel=${channel}` });
    expect(await matching(field, "in-event", channel)).toBe(1);
    expect(await matching(field, "in-data", channel)).toBe(2);
  });

  it("are compared as text: the number 7 and the string 7 are the same id", async () => {
    const query = "?channel=pub-id-text";
    await service.post(event(1, { project_id: 7 }), { query });
    await service.post(event(1, { project_id: "7" }), { query });
    await service.post(event({ project_id: 7 }), { query });
    await service.post(event(1, { project_id: "07" }), { query });
    await service.post(event(1, { project_id: -7 }), { query });
    expect(await matching("project_id", "7", "pub-id-text")).toBe(3);
    expect(await matching("project_id", "-7", "pub-id-text")).toBe(1);
  });

  it.each([
    ["an empty string", ""],
    ["129 characters", "a".repeat(129)],
    ["a comma", "a,b"],
    ["a control character", "a\u0007b"],
    ["a line end", "a\nb"],
    ["a fraction", 1.5],
    ["an unsafe integer", 2 ** 53],
    ["a boolean", true],
    ["an object", {}],
    ["an array", [1]],
  ])("are refused in the event and ignored in data when they are %s", async (_what, id) => {
    const channel = "pub-id-bad";
    const problem = await problemOf(
      await service.post(event(1, { agent_id: id }), { query: `?channel=${channel}` }),
    );
    expect(problem).toMatchObject({ status: 400, code: "invalid_event" });
    expect(problem.errors?.[0]?.field).toBe("agent_id");
    const stored = await service.publish({ type: "a", data: { agent_id: id, project_id: "ok" } }, channel);
    const answer = await service.fetch(`/api/history?channel=${channel}&project_id=ok&limit=1000`);
    const { events } = (await answer.json()) as { events: { id: string; agent_id?: string }[] };
    const found = events.find((candidate) => candidate.id === stored.events[0]?.id);
    expect(found).toMatchObject({ project_id: "ok" });
    expect(found).not.toHaveProperty("agent_id");
  });

  it.each(["a".repeat(128), "a b", "ż/?&*", " "])("may be %j", async (id) => {
    await service.publish({ type: "a", data: 1, project_id: id }, "pub-id-good");
    expect(await matching("project_id", id, "pub-id-good")).toBe(1);
  });
});

describe("Publishing: key", () => {
  it("makes a second publish a duplicate, which answers the first id and sends nothing", async () => {
    const stream = await service.stream({ channel: "pub-key" });
    const first = await service.publish({ type: "a", data: { n: 1 }, key: "k" }, "pub-key");
    const second = await service.publish({ type: "a", data: { n: 1 }, key: "k" }, "pub-key");
    expect(first.events).toEqual([{ id: "1", type: "a", duplicate: false }]);
    expect(second.events).toEqual([{ id: "1", type: "a", duplicate: true }]);
    await service.publish({ type: "after", data: 0 }, "pub-key");
    expect((await stream.collect(2)).map(({ id, type }) => [id, type])).toEqual([
      ["1", "a"],
      ["2", "after"],
    ]);
  });

  it("says conflict when the second differs from what is stored, and keeps the first", async () => {
    await service.publish({ type: "a", data: 1, key: "k" }, "pub-conflict");
    for (const different of [
      { type: "a", data: 2 },
      { type: "b", data: 1 },
      { type: "a", data: 1, project_id: 1 },
    ]) {
      const answer = await service.publish({ ...different, key: "k" }, "pub-conflict");
      expect(answer.events[0]).toMatchObject({ id: "1", duplicate: true, conflict: true });
    }
    const history = await service.fetch("/api/history?channel=pub-conflict");
    expect(await history.json()).toMatchObject({ events: [{ id: "1", type: "a", data: 1 }], latest_id: "1" });
  });

  it("makes the later one of a batch the duplicate", async () => {
    const answer = await service.publish(
      [
        { type: "a", data: 1, key: "k" },
        { type: "a", data: 1, key: "k" },
        { type: "a", data: 1 },
      ],
      "pub-key-batch",
    );
    expect(answer.events).toMatchObject([
      { id: "1", duplicate: false },
      { id: "1", duplicate: true },
      { id: "2", duplicate: false },
    ]);
  });

  it("belongs to its channel", async () => {
    await service.publish({ type: "a", data: 1, key: "shared" }, "pub-key-a");
    const answer = await service.publish({ type: "a", data: 1, key: "shared" }, "pub-key-b");
    expect(answer.events).toEqual([{ id: "1", type: "a", duplicate: false }]);
  });

  it("may have 1 to 128 characters", async () => {
    await service.publish({ type: "a", data: 1, key: "k".repeat(128) }, "pub-key-long");
    for (const key of ["", "k".repeat(129), "a\nb", "a\u0000", 7, {}]) {
      const problem = await problemOf(await service.post(event(1, { key })));
      expect(problem).toMatchObject({ status: 400, code: "invalid_event" });
      expect(problem.errors?.[0]?.field).toBe("key");
    }
  });

  it("is stored once when ten publishers send it at the same time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => service.publish({ type: "a", data: 1, key: "race" }, "pub-key-race")),
    );
    expect(answers.map((answer) => answer.events[0]?.id)).toEqual(Array(10).fill("1"));
    expect(answers.filter((answer) => answer.events[0]?.duplicate === false)).toHaveLength(1);
    expect(await head("pub-key-race")).toBe("1");
  });
});

describe("Publishing: limits", () => {
  it("takes a body of exactly 1 MiB, and refuses one byte more", async () => {
    expect((await service.post(padded(mebibyte), { query: "?channel=pub-body" })).status).toBe(200);
    expect(
      await problemOf(await service.post(padded(mebibyte + 1), { query: "?channel=pub-body" })),
    ).toMatchObject({ status: 413, code: "body_too_large" });
    expect(await head("pub-body")).toBe("1");
  });

  it("measures a body that does not say its length", async () => {
    const answer = await service.raw("/api/publish?channel=pub-body", {
      method: "POST",
      headers: {
        Authorization: `Bearer ${publishToken}`,
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
      },
      chunks: [...Array<string>(17).fill(" ".repeat(64 * kibibyte)), event()],
    });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 413, code: "body_too_large" });
    expect(await head("pub-body")).toBe("1");
  });

  it("takes 1,000 events in one request, and refuses 1,001", async () => {
    expect((await service.post(many(1_000), { query: "?channel=pub-many" })).status).toBe(200);
    expect(await problemOf(await service.post(many(1_001), { query: "?channel=pub-many" }))).toMatchObject({
      status: 413,
      code: "too_many_events",
    });
    const lines = `${event()}\n`.repeat(1_001);
    expect(
      await problemOf(await service.post(lines, { contentType: ndjson, query: "?channel=pub-many" })),
    ).toMatchObject({ status: 413, code: "too_many_events" });
    expect(await head("pub-many")).toBe("1000");
  });

  it("takes data of exactly 65,000 bytes of serialised UTF-8, and refuses one byte more", async () => {
    const room = 65_000 - 2;
    const query = "?channel=pub-data";
    expect((await service.post(event("a".repeat(room)), { query })).status).toBe(200);
    expect((await service.post(event("é".repeat(room / 2)), { query })).status).toBe(200);
    for (const data of ["a".repeat(room + 1), "é".repeat(room / 2 + 1)]) {
      expect(await problemOf(await service.post(event(data), { query }))).toMatchObject({
        status: 413,
        code: "event_too_large",
      });
    }
    expect(await head("pub-data")).toBe("2");
  });

  it("measures data as it is serialised, not as it was sent", async () => {
    const spaced = `{"type":"a","data":[${" ".repeat(100 * kibibyte)}]}`;
    expect((await service.post(spaced, { query: "?channel=pub-spaced" })).status).toBe(200);
  });
});

describe("Publishing: the order of the checks", () => {
  const tooLong = " ".repeat(mebibyte + 1);
  const tooMuch = "a".repeat(65 * kibibyte);

  it("404 comes before all others", async () => {
    const answer = await service.fetch("/api/publishing", { method: "PUT", body: tooLong });
    expect(await problemOf(answer)).toMatchObject({ status: 404, code: "not_found" });
  });

  it("405 comes before 401", async () => {
    const answer = await service.fetch("/api/publish");
    expect(await problemOf(answer)).toMatchObject({ status: 405, code: "method_not_allowed" });
    expect(answer.headers.get("allow")).toContain("POST");
  });

  it("401 with WWW-Authenticate comes before 415", async () => {
    const answer = await service.post(tooLong, { authorization: null, contentType: "text/plain" });
    expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer\b/);
  });

  it("the token in the query opens nothing", async () => {
    const answer = await service.post(event(), { authorization: null, query: `?token=${publishToken}` });
    expect(await problemOf(answer)).toMatchObject({ status: 401, code: "unauthorized" });
  });

  it("415 comes before 413", async () => {
    for (const contentType of [
      "text/plain",
      "application/xml",
      "application/jsonp",
      "text/json",
      "nonsense",
    ]) {
      expect(await problemOf(await service.post(tooLong, { contentType }))).toMatchObject({
        status: 415,
        code: "unsupported_media_type",
      });
    }
  });

  it("413 of the body comes before 400", async () => {
    expect(await problemOf(await service.post(`nonsense${tooLong}`, { query: "?nonsense=1" }))).toMatchObject(
      { status: 413, code: "body_too_large" },
    );
    const invalid = JSON.stringify(Array.from({ length: 1_001 }, () => ({ type: "" })));
    expect(await problemOf(await service.post(invalid))).toMatchObject({
      status: 413,
      code: "too_many_events",
    });
  });

  it("400 comes before 413 of one event's data", async () => {
    const body = JSON.stringify([
      { type: "a", data: tooMuch },
      { type: "", data: 1 },
    ]);
    expect(await problemOf(await service.post(body))).toMatchObject({ status: 400, code: "invalid_event" });
    const problem = await problemOf(
      await service.post(
        JSON.stringify([
          { type: "a", data: 1 },
          { type: "a", data: tooMuch },
        ]),
      ),
    );
    expect(problem).toMatchObject({ status: 413, code: "event_too_large" });
    expect(problem.errors).toEqual([{ index: 1, field: "data", detail: expect.any(String) }]);
  });

  it("a channel that is not allowed is 404 unknown_channel, and creates nothing", async () => {
    expect(await problemOf(await service.post(event(), { query: "?channel=other" }))).toMatchObject({
      status: 404,
      code: "unknown_channel",
    });
    expect(await problemOf(await service.post(event(1, { channel: "other" })))).toMatchObject({
      status: 404,
      code: "unknown_channel",
    });
  });
});

describe("Publishing without a PUBLISH_TOKEN", () => {
  let closed: Service;

  beforeAll(async () => {
    closed = await startService({ env: { PUBLISH_TOKEN: "" } });
  });

  afterAll(() => closed.stop());

  it.each([
    ["no token", null],
    ["an empty token", "Bearer "],
    ["any token", `Bearer ${publishToken}`],
    ["the word undefined", "Bearer undefined"],
  ])(
    "is closed with 503 not_configured, which comes before 401 and 415 (%s)",
    async (_what, authorization) => {
      const answer = await closed.post("nonsense", { authorization, contentType: "text/plain" });
      expect(await problemOf(answer)).toMatchObject({ status: 503, code: "not_configured" });
    },
  );

  it("still answers another method with 405, and streams", async () => {
    expect(await problemOf(await closed.fetch("/api/publish"))).toMatchObject({
      status: 405,
      code: "method_not_allowed",
    });
    const stream = await closed.stream();
    expect((await stream.nextEvent()).type).toBe("connected");
  });
});
