import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import {
  publishToken,
  startService,
  type PublishAnswer,
  type PublishedEvent,
  type Service,
} from "../support/service.ts";

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

const ticks = (count: number): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: n + 1 }));

const toLines = (events: readonly PublishedEvent[]): string[] => events.map((event) => JSON.stringify(event));

const upTo = (last: number): string[] => Array.from({ length: last }, (_, n) => String(n + 1));

async function stored(
  channel: string,
): Promise<{ events: { id: string; data: unknown }[]; latest_id: string }> {
  const answer = await service.fetch(`/api/history?channel=${channel}&limit=1000`);
  return (await answer.json()) as { events: { id: string; data: unknown }[]; latest_id: string };
}

describe("Publishing: POST /api/publish", () => {
  it("answers one event with its id, its type and `duplicate` false", async () => {
    const answer = await service.post('{"type":"a","data":1}', { query: "?channel=one" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^application\/json(;|$)/);
    expect(await answer.json()).toEqual({ events: [{ id: "1", type: "a", duplicate: false }] });
  });

  it.each([
    ["an array", "array", JSON_TYPE, JSON.stringify(ticks(1_000))],
    ["NDJSON", "ndjson", NDJSON, `${toLines(ticks(1_000)).join("\n")}\n`],
  ])(
    "gives 1,000 events of %s consecutive ids in their order, and delivers them so",
    async (_what, channel, contentType, body) => {
      const stream = await service.stream({ channel });
      const answer = await service.post(body, { contentType, query: `?channel=${channel}` });
      expect(answer.status).toBe(200);
      expect(((await answer.json()) as PublishAnswer).events).toEqual(
        upTo(1_000).map((id) => ({ id, type: "tick", duplicate: false })),
      );
      const events = await stream.collect(1_000);
      expect(events.map(({ id, data }) => [id, data])).toEqual(upTo(1_000).map((id) => [id, id]));
      const history = await stored(channel);
      expect(history.events.map(({ id, data }) => [id, String(data)])).toEqual(
        upTo(1_000).map((id) => [id, id]),
      );
    },
  );

  it("keeps the events of a batch together, even if many callers publish batches at once", async () => {
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

  it("stores and sends no event of a batch with one bad event: the next event has the first id", async () => {
    const channel = "none";
    const stream = await service.stream({ channel });
    const lines = toLines(ticks(999)).toSpliced(500, 0, '{"type":"gap","data":1}');
    for (const [body, contentType] of [
      [`[${lines.join()}]`, JSON_TYPE],
      [lines.join("\n"), NDJSON],
    ] as const) {
      const answer = await service.post(body, { contentType, query: `?channel=${channel}` });
      expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_event" });
    }
    expect(await stored(channel)).toMatchObject({ events: [], latest_id: "0" });
    expect((await service.publish({ type: "after", data: 1 }, channel)).events[0]?.id).toBe("1");
    expect((await stream.collect(1)).map(({ id, type }) => [id, type])).toEqual([["1", "after"]]);
  });

  it("accepts a body of exactly 1 MiB and refuses one byte more, with and without Content-Length", async () => {
    const query = "?channel=body";
    const event = '{"type":"a","data":1}';
    expect((await service.post(event.padEnd(MEBIBYTE, " "), { query })).status).toBe(200);
    expect(await problemOf(await service.post(event.padEnd(MEBIBYTE + 1, " "), { query }))).toMatchObject({
      status: 413,
      code: "body_too_large",
    });
    const answer = await service.raw(`/api/publish${query}`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${publishToken}`,
        "Content-Type": JSON_TYPE,
        "Transfer-Encoding": "chunked",
      },
      chunks: [...Array<string>(17).fill(" ".repeat(64 * KIBIBYTE)), event],
    });
    await answer.untilClosed();
    expect(await problemOf(answer)).toMatchObject({ status: 413, code: "body_too_large" });
    expect(await stored("body")).toMatchObject({ latest_id: "1" });
  });

  it("refuses invalid UTF-8 and data that is nested too deep, and goes on", async () => {
    const body = new Uint8Array([
      ...Buffer.from('{"type":"a","data":"'),
      0xed,
      0xa0,
      0x80,
      ...Buffer.from('"}'),
    ]);
    expect(await problemOf(await service.post(body))).toMatchObject({ status: 400, code: "invalid_body" });
    const deep = `{"type":"a","data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    expect((await service.post(deep, { query: "?channel=deep" })).status).toBe(400);
    expect((await service.publish({ type: "a", data: 1 }, "deep")).events[0]?.id).toBe("1");
  });
});
