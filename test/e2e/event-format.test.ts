import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

/** Publishes to a channel of its own, and returns the bytes after the greeting. */
async function bytesOf(type: string, data: unknown, channel: string): Promise<string> {
  const stream = await service.stream({ channel });
  await stream.nextEvent();
  const greeting = stream.text.length;
  await service.publish({ type, data }, channel);
  await stream.nextEvent({ type });
  return stream.text.slice(greeting);
}

describe("The stream: the frame of an event", () => {
  it("is event, id and one line of JSON, in this order, and a blank line", async () => {
    const data = {
      agent_id: 1,
      from_state: "idle",
      to_state: "processing",
      timestamp: "2026-01-29T10:00:00Z",
    };
    expect(await bytesOf("state_transition", data, "field-order")).toBe(
      "event: state_transition\n" +
        "id: 1\n" +
        'data: {"agent_id":1,"from_state":"idle","to_state":"processing","timestamp":"2026-01-29T10:00:00Z"}\n\n',
    );
  });

  it("has the event with everything that is stored of it as its data, if the client asks for an envelope", async () => {
    const before = Date.now();
    const event = { type: "state_transition", data: { agent_id: 1, to_state: "idle" }, project_id: 7 };
    await service.publish(event, "enveloped");
    const past = await service.stream({ channel: "enveloped", envelope: "1", since: "earliest" });
    const live = await service.stream({ channel: "enveloped", envelope: "1" });
    const plain = await service.stream({ channel: "enveloped" });
    await live.nextEvent();
    await plain.nextEvent();
    await service.publish(event, "enveloped");
    const history = (await (await service.fetch("/api/history?channel=enveloped")).json()) as {
      events: { published_at: string }[];
    };
    const first = await past.nextEvent({ type: "state_transition" });
    const second = await live.nextEvent({ type: "state_transition" });
    expect([first.id, second.id]).toEqual(["1", "2"]);
    expect([JSON.parse(first.data), JSON.parse(second.data)]).toEqual(history.events);
    expect(Date.parse(history.events[0]?.published_at ?? "")).toBeGreaterThanOrEqual(before);
    expect(JSON.parse((await plain.nextEvent({ type: "state_transition" })).data)).toEqual(event.data);
  });

  it("refuses an envelope of any other kind", async () => {
    const answer = await service.fetch("/api/events?channel=enveloped&envelope=true");
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_parameter" });
  });

  it.each([
    ["text", "hello"],
    ["number", 1.5],
    ["boolean", false],
    ["null", null],
    ["array", [1, [2, {}], ""]],
    ["empty-object", {}],
    ["empty-text", ""],
    ["nested", { a: { b: { c: [{ d: null }] } } }],
  ])("carries %s as JSON", async (name, data) => {
    const frame = await bytesOf("any_json", data, `json-${name}`);
    expect(frame).toBe(`event: any_json\nid: 1\ndata: ${JSON.stringify(data)}\n\n`);
  });

  it.each([
    ["line-feed", "one\ntwo\n\nthree"],
    ["carriage-return", "one\rtwo\r\rthree"],
    ["both", "one\r\ntwo\r\n\r\nthree"],
    ["fields", 'x\n\nevent: close\nid: 999\ndata: {"reason":"kicked"}\n\n'],
    ["separators", "line\u2028paragraph\u2029next\u0085end"],
    ["controls", "\u0000\u0001\u001b\u007f"],
  ])("carries newlines and controls in data as one event (%s)", async (name, text) => {
    const channel = `newlines-${name}`;
    const stream = await service.stream({ channel });
    await stream.nextEvent();
    await service.publish([
      { type: "text", data: { text }, channel },
      { type: "after", data: 0, channel },
    ]);
    const event = await stream.nextEvent();
    expect(event).toMatchObject({ type: "text", id: "1" });
    expect(JSON.parse(event.data)).toEqual({ text });
    expect(await stream.nextEvent()).toMatchObject({ type: "after", id: "2" });
    expect(stream.events.map(({ type }) => type)).toEqual(["connected", "text", "after"]);
  });

  it("carries Unicode unchanged, beyond the first plane and across chunks too", async () => {
    const text = `żółć 漢字 👩‍🚀 ${"𝄞é".repeat(5_000)} ${String.fromCodePoint(0x10ffff)}`;
    const stream = await service.stream({ channel: "unicode" });
    await service.publish({ type: "text", data: text }, "unicode");
    expect(JSON.parse((await stream.nextEvent({ type: "text" })).data)).toBe(text);
  });

  it("carries a lone surrogate as JSON writes it, not as a broken character", async () => {
    const stream = await service.stream({ channel: "surrogate" });
    const answer = await service.post('{"type":"text","data":"a\\ud800b"}', { query: "?channel=surrogate" });
    expect(answer.status).toBe(200);
    expect(JSON.parse((await stream.nextEvent({ type: "text" })).data)).toBe("a\ud800b");
  });

  it.each([
    "a\nid: 999",
    "a\r",
    "a\u0000",
    "a b",
    "a\ndata: x\n\nevent: close",
    "ż",
    "",
    " a",
    ":a",
    "-a",
    ".a",
  ])("refuses the type %j, so that no type can add a field", async (type) => {
    const answer = await service.post(JSON.stringify({ type, data: 1 }), { query: "?channel=injection" });
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_event" });
    expect((await service.health("injection")).sse.last_event_id).toBe("0");
  });

  it("reaches a native EventSource with its type, id and data", async () => {
    const client = openNative(`${service.url}/api/events?channel=native`, [
      "connected",
      "turn.detected:v1-x",
    ]);
    try {
      await client.collect(1);
      await service.publish({ type: "turn.detected:v1-x", data: { a: "1\n2" } }, "native");
      await client.collect(2);
      expect(client.events[1]).toEqual({ type: "turn.detected:v1-x", id: "1", data: '{"a":"1\\n2"}' });
    } finally {
      client.close();
    }
  });
});

describe("The stream: ids", () => {
  it("start at 1, and rise by 1 without holes over single and batch publishes", async () => {
    const stream = await service.stream({ channel: "ids" });
    for (let n = 0; n < 5; n++) {
      await service.publish({ type: "single", data: n }, "ids");
      await service.publish(
        [
          { type: "batch", data: n },
          { type: "batch", data: n },
        ],
        "ids",
      );
    }
    const events = await stream.collect(15);
    expect(events.map((event) => event.id)).toEqual(Array.from({ length: 15 }, (_, n) => String(n + 1)));
  });
});
