import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { startService, type PublishAnswer, type PublishedEvent, type Service } from "../support/service.ts";

const ndjson = "application/x-ndjson";
const json = "application/json";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

const ticks = (count: number): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: n + 1 }));

const keyed = (n: number): PublishedEvent => ({ type: "tick", data: n, key: `k${n}` });

const toLines = (events: readonly PublishedEvent[]): string[] => events.map((event) => JSON.stringify(event));

const upTo = (last: number): string[] => Array.from({ length: last }, (_, n) => String(n + 1));

async function stored(
  channel: string,
): Promise<{ events: { id: string; data: unknown }[]; latest_id: string }> {
  const answer = await service.fetch(`/api/history?channel=${channel}&limit=1000`);
  return (await answer.json()) as { events: { id: string; data: unknown }[]; latest_id: string };
}

async function accepted(body: string, contentType: string, channel: string): Promise<string[]> {
  const answer = await service.post(body, { contentType, query: `?channel=${channel}` });
  expect(answer.status).toBe(200);
  const { events } = (await answer.json()) as PublishAnswer;
  expect(events.filter(({ duplicate }) => duplicate)).toEqual([]);
  return events.map(({ id }) => id);
}

/** Nothing of a refused request may be in the log, or have been sent; the next event is the first. */
async function expectNothing(channel: string, refuse: () => Promise<void>): Promise<void> {
  const stream = await service.stream({ channel });
  await refuse();
  expect(await stored(channel)).toMatchObject({ events: [], latest_id: "0" });
  expect((await service.publish({ type: "after", data: 1 }, channel)).events[0]?.id).toBe("1");
  expect((await stream.collect(1)).map(({ id, type }) => [id, type])).toEqual([["1", "after"]]);
  stream.reset();
}

describe("Publishing: a batch that is stored", () => {
  it.each([
    ["an array", json, JSON.stringify(ticks(1_000))],
    ["NDJSON", ndjson, `${toLines(ticks(1_000)).join("\n")}\n`],
  ])(
    "of 1,000 events has consecutive ids in its order, and is delivered so (%s)",
    async (what, type, body) => {
      const channel = `thousand-${what.replaceAll(/\W/g, "").toLowerCase()}`;
      const stream = await service.stream({ channel });
      expect(await accepted(body, type, channel)).toEqual(upTo(1_000));
      const events = await stream.collect(1_000);
      expect(events.map(({ id }) => id)).toEqual(upTo(1_000));
      expect(events.map(({ data }) => data)).toEqual(upTo(1_000));
      const history = await stored(channel);
      expect(history.events.map(({ id, data }) => [id, String(data)])).toEqual(
        upTo(1_000).map((id) => [id, id]),
      );
    },
  );

  it.each([
    ["line ends of Unix", (lines: string[]) => `${lines.join("\n")}\n`],
    ["no line end at the end", (lines: string[]) => lines.join("\n")],
    ["CRLF", (lines: string[]) => `${lines.join("\r\n")}\r\n`],
    ["CRLF, and none at the end", (lines: string[]) => lines.join("\r\n")],
    [
      "blank lines in between, before and after",
      (lines: string[]) => `\n \n${lines.join("\n\n\t\r\n")}\n\n\n`,
    ],
    ["spaces around the values", (lines: string[]) => lines.map((line) => `  ${line}\t`).join("\n")],
  ])("as NDJSON may have %s", async (what, toBody) => {
    const channel = `lines-${what.replaceAll(/\W+/g, "-").toLowerCase()}`;
    expect(await accepted(toBody(toLines(ticks(3))), ndjson, channel)).toEqual(["1", "2", "3"]);
    expect((await stored(channel)).events.map(({ data }) => data)).toEqual([1, 2, 3]);
  });

  it("as NDJSON may have 1,000 events however many lines are blank", async () => {
    const body = toLines(ticks(1_000)).join("\n\n\n");
    expect(await accepted(body, ndjson, "blank")).toEqual(upTo(1_000));
  });

  it("is one piece: batches of many callers do not mix, and a reader sees them one after the other", async () => {
    const channel = "pieces";
    const stream = await service.stream({ channel });
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, caller) => {
        const events = Array.from({ length: 50 }, (__, n) => ({ type: "tick", data: [caller, n] }));
        return { events, ids: (await service.publish(events, channel)).events.map(({ id }) => Number(id)) };
      }),
    );
    const expected: unknown[] = [];
    for (const { events, ids } of answers) {
      const [first = 0] = ids;
      expect(ids).toEqual(events.map((_, n) => first + n));
      for (const [n, { data }] of events.entries()) {
        expected[first + n - 1] = data;
      }
    }
    const seen = await stream.collect(600);
    expect(seen.map(({ data }) => JSON.parse(data) as unknown)).toEqual(expected);
  });

  it("may hold known keys: only the others are stored, without holes between their ids", async () => {
    const channel = "known";
    await service.publish([keyed(2), keyed(4)], channel);
    const stream = await service.stream({ channel });
    const { events } = await service.publish([1, 2, 3, 4, 5].map(keyed), channel);
    expect(events.map(({ id, duplicate }) => [id, duplicate])).toEqual([
      ["3", false],
      ["1", true],
      ["4", false],
      ["2", true],
      ["5", false],
    ]);
    expect((await stream.collect(3)).map(({ id, data }) => [id, data])).toEqual([
      ["3", "1"],
      ["4", "3"],
      ["5", "5"],
    ]);
  });
});

describe("Publishing: a batch that is refused", () => {
  const where = 500;
  it.each([
    ["a type of the service", '{"type":"gap","data":1}', "type", 400, "invalid_event"],
    ["no type", '{"data":1}', "type", 400, "invalid_event"],
    ["no data", '{"type":"tick"}', "data", 400, "invalid_event"],
    ["a line end in its type", '{"type":"a\\nid: 7","data":1}', "type", 400, "invalid_event"],
    ["an id that is none", '{"type":"tick","data":1,"agent_id":"a,b"}', "agent_id", 400, "invalid_event"],
    ["a number that overflows", '{"type":"tick","data":[1e999]}', "data", 400, "invalid_event"],
    ["a key that is empty", '{"type":"tick","data":1,"key":""}', "key", 400, "invalid_event"],
    [
      "a member that nobody knows",
      '{"type":"tick","data":1,"projectId":1}',
      "projectId",
      400,
      "invalid_event",
    ],
    ["a channel that is none", '{"type":"tick","data":1,"channel":"A"}', "channel", 400, "invalid_event"],
    ["too much data", `{"type":"tick","data":"${"x".repeat(65_536)}"}`, "data", 413, "event_too_large"],
    ["no object", "[1]", undefined, 400, "invalid_event"],
    ["nothing but null", "null", undefined, 400, "invalid_event"],
  ])("for one event in the middle is refused whole: %s", async (what, bad, field, status, code) => {
    const lines = toLines(ticks(999)).toSpliced(where, 0, bad);
    const channel = `bad-${what.replaceAll(/\W+/g, "-").toLowerCase()}`;
    const position = field === undefined ? {} : { field };
    await expectNothing(channel, async () => {
      const query = `?channel=${channel}`;
      const asArray = await problemOf(await service.post(`[${lines.join()}]`, { query }));
      expect(asArray).toMatchObject({ status, code });
      expect(asArray.errors).toEqual([{ ...position, index: where, detail: expect.stringMatching(/\S/) }]);
      const asLines = await problemOf(await service.post(lines.join("\n"), { query, contentType: ndjson }));
      expect(asLines).toMatchObject({ status, code });
      expect(asLines.errors).toEqual([{ ...position, line: where + 1, detail: expect.stringMatching(/\S/) }]);
    });
  });

  it.each([
    ["cut in the middle", '{"type":"tick","da'],
    ["no JSON", "tick"],
    ["two values", '{"type":"tick","data":1}{"type":"tick","data":2}'],
    ["a value over two lines", '{"type":"tick",\n"data":1}'],
  ])("for a line of NDJSON that is broken is refused whole, with its number: %s", async (what, bad) => {
    const lines = toLines(ticks(20)).toSpliced(10, 0, "", bad);
    const channel = `broken-${what.replaceAll(/\W+/g, "-").toLowerCase()}`;
    await expectNothing(channel, async () => {
      const answer = await service.post(lines.join("\r\n"), {
        contentType: ndjson,
        query: `?channel=${channel}`,
      });
      const problem = await problemOf(answer);
      expect(problem).toMatchObject({ status: 400, code: "invalid_event" });
      expect(problem.errors?.map(({ line }) => line)).toEqual(bad.split("\n").map((_, n) => 12 + n));
    });
  });

  it("lists every mistake of every event in their order, 100 of them at most", async () => {
    const bad = { type: "", data: 1, key: "", project_id: "a,b" };
    const few = await problemOf(await service.post(JSON.stringify([...ticks(2), bad, ...ticks(2), bad])));
    expect(few.errors?.map(({ index, field }) => [index, field])).toEqual(
      [2, 5].flatMap((index) => ["type", "project_id", "key"].map((field) => [index, field])),
    );
    for (const [body, contentType] of [
      [`[${`${JSON.stringify(bad)},`.repeat(999)}${JSON.stringify(bad)}]`, json],
      [`${JSON.stringify(bad)}\n`.repeat(1_000), ndjson],
      ["{\n".repeat(1_000), ndjson],
    ]) {
      const many = await problemOf(await service.post(body ?? "", { contentType: contentType ?? json }));
      expect(many).toMatchObject({ status: 400, code: "invalid_event" });
      expect(many.errors).toHaveLength(100);
    }
  });

  it("for 1,001 events is refused whole, right or wrong as they may be", async () => {
    await expectNothing("too-many", async () => {
      for (const [body, contentType] of [
        [JSON.stringify(ticks(1_001)), json],
        [toLines(ticks(1_001)).join("\n"), ndjson],
        ["{\n".repeat(1_001), ndjson],
      ]) {
        const answer = await service.post(body ?? "", {
          contentType: contentType ?? json,
          query: "?channel=too-many",
        });
        expect(await problemOf(answer)).toMatchObject({ status: 413, code: "too_many_events" });
      }
    });
  });

  it.each([
    ["an empty array", "[]", json],
    ["no bytes at all", "", json],
    ["no line", "", ndjson],
    ["only blank lines", "\n \r\n\n", ndjson],
    ["an array that does not end", '[{"type":"tick","data":1}', json],
    ["an array and more", '[{"type":"tick","data":1}] x', json],
    ["lines as JSON", toLines(ticks(2)).join("\n"), json],
  ])("when it is %s", async (what, body, contentType) => {
    const channel = `empty-${what.replaceAll(/\W+/g, "-").toLowerCase()}`;
    await expectNothing(channel, async () => {
      const answer = await service.post(body, { contentType, query: `?channel=${channel}` });
      expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_body" });
    });
  });
});
