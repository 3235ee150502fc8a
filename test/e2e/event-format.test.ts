import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
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

  it("has all stored fields of the event as its data, if the client asks for an envelope", async () => {
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

  it("carries Unicode unchanged, including characters above U+FFFF and across chunks", async () => {
    const text = `żółć 漢字 👩‍🚀 ${"𝄞é".repeat(5_000)} ${String.fromCodePoint(0x10ffff)}`;
    const stream = await service.stream({ channel: "unicode" });
    await service.publish({ type: "text", data: text }, "unicode");
    expect(JSON.parse((await stream.nextEvent({ type: "text" })).data)).toBe(text);
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
