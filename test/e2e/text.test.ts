import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { SSEClient } from "../../src/client/client.ts";
import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      sse: { heartbeat_interval_seconds: 1 },
      history: { max_events: 100 },
      filters: { ignored_parameters: ["datastar", "utm_source"] },
    },
  });
});

afterAll(() => service.stop());

const post = (event: object, channel: string): Promise<Response> =>
  service.post(JSON.stringify(event), { query: `?channel=${channel}` });

function lastId(data = ""): unknown {
  return (JSON.parse(data) as { last_event_id: string }).last_event_id;
}

async function published(event: object, channel: string): Promise<void> {
  const answer = await post(event, channel);
  expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
}

describe("An event with a text", () => {
  it("is sent as it is, with a data line for each of its lines, and cannot inject a field", async () => {
    const text = "one\ntwo\r\nthree\rfour\n\nevent: x\nid: 9\n: y\u2028z ";
    await published({ type: "note", text }, "lines");
    const stream = await service.stream({ channel: "lines", since: "earliest" });
    const [event, ...others] = await stream.collect(1);
    expect(event).toMatchObject({ type: "note", id: "1", data: text.replaceAll(/\r\n|\r/g, "\n") });
    expect(others).toEqual([]);
    expect(stream.text).toContain(
      "event: note\nid: 1\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n" +
        "data: event: x\ndata: id: 9\ndata: : y\u2028z \n\n",
    );
  });

  it("has no event line without a type, and filters know it by `message`", async () => {
    await published({ text: "<p>hello</p>" }, "untyped");
    await published({ type: "other", text: "-" }, "untyped");
    await published({ data: [1] }, "untyped");
    const stream = await service.stream({ channel: "untyped", types: "mess*", since: "earliest" });
    expect((await stream.collect(2)).map(({ type, data }) => [type, data])).toEqual([
      ["message", "<p>hello</p>"],
      ["message", "[1]"],
    ]);
    expect(stream.text).toContain("\n\nid: 1\ndata: <p>hello</p>\n\nid: 3\ndata: [1]\n\n");
  });

  it("is `text` in the history and in an envelope", async () => {
    await published({ text: "a\r\nb" }, "json");
    const answer = await service.fetch("/api/history?channel=json");
    const { events } = (await answer.json()) as { events: object[] };
    expect(events).toEqual([{ id: "1", type: "message", text: "a\r\nb", published_at: expect.any(String) }]);
    const stream = await service.stream({ channel: "json", envelope: "1", since: "earliest" });
    const [frame] = await stream.collect(1);
    expect(JSON.parse(frame?.data ?? "")).toEqual(events[0]);
  });

  it.each([
    ["both", { data: 1, text: "a" }, "text"],
    ["neither", {}, "data"],
    ["an empty text", { text: "" }, "text"],
    ["NUL in the text", { text: "a\u0000b" }, "text"],
    ["half a surrogate pair", { text: "a\ud800" }, "text"],
    ["a text that is none", { text: ["a"] }, "text"],
    ["null as text", { text: null }, "text"],
    ["an empty type", { type: "", text: "a" }, "type"],
    ["null as type", { type: null, text: "a" }, "type"],
    ["a type of the service", { type: "caught_up", text: "a" }, "type"],
  ])("is refused with %s", async (_what, event, field) => {
    const problem = await problemOf(await post(event, "refused"));
    expect([problem.status, problem.code]).toEqual([400, "invalid_event"]);
    expect(problem.errors?.map((error) => error.field)).toEqual([field]);
  });

  it("may have 65,000 bytes and no more", async () => {
    await published({ text: "é".repeat(32_500) }, "long");
    const problem = await problemOf(await post({ text: `${"é".repeat(32_500)}a` }, "long"));
    expect([problem.status, problem.code, problem.errors?.[0]?.field]).toEqual([
      413,
      "event_too_large",
      "text",
    ]);
  });

  it("differs from the same data under one key", async () => {
    await published({ text: "1", key: "k" }, "key");
    const again = (await (await post({ text: "1", key: "k" }, "key")).json()) as object;
    expect(again).toEqual({ events: [{ id: "1", type: "message", duplicate: true }] });
    const other = (await (await post({ data: 1, key: "k" }, "key")).json()) as object;
    expect(other).toEqual({ events: [{ id: "1", type: "message", duplicate: true, conflict: true }] });
  });

  it.each([
    ["data alone", false],
    ["envelopes", true],
  ])("reaches our client as a string, also if it looks like JSON, in %s", async (_what, envelope) => {
    const channel = envelope ? "client-envelope" : "client";
    const texts = ["1.0", "null", '{"a":1}', "two\nlines", '"quoted"', " 7\n"];
    await service.publish([...texts.map((text) => ({ text })), { data: { n: 1 } }], channel);
    const client = new SSEClient({
      url: `${service.url}/api/events`,
      channel,
      envelope,
      since: "earliest",
    });
    const seen: unknown[] = [];
    const done = Promise.withResolvers<void>();
    client.on("*", (data, { type }) => {
      expect(type).toBe("message");
      if (seen.push(data) === texts.length + 1) {
        done.resolve();
      }
    });
    client.connect();
    await done.promise;
    client.disconnect();
    expect(seen).toEqual([...texts, { n: 1 }]);
  });
});

describe("A bare stream", () => {
  it("has no named frames of the service, but their ids and delays", async () => {
    await service.publish(
      Array.from({ length: 3 }, (_, n) => ({ type: "tick", data: n })),
      "bare",
    );
    const stream = await service.stream({ channel: "bare", bare: "1", last_event_id: "77" });
    await stream.collect(3);
    expect(stream.events.map(({ type }) => type)).toEqual(["tick", "tick", "tick"]);
    expect(stream.text).toMatch(/^retry: 5000\n: connected\n\n: gap\nid: 0\n\nevent: tick\nid: 1\n/);
    const live = await service.stream({ channel: "bare", bare: "1" });
    await live.nextComment();
    expect(live.text).toMatch(/^retry: 5000\n: connected\nid: 3\n\n/);
    await service.admin("/api/admin/drain?channel=bare", { method: "POST" });
    await live.untilClosed();
    expect(live.text).toMatch(/\nretry: \d+\n: close\n\n$/);
    expect(live.events).toEqual([]);
  });

  it("is refused like any other, or as a comment", async () => {
    await service.publish({ type: "tick", data: 1 }, "bare-busy");
    await service.admin("/api/admin/drain?channel=bare-busy", { method: "POST" });
    const query = { channel: "bare-busy", bare: "1", on_busy: "stream", last_event_id: "1" };
    const stream = await service.stream(query);
    await stream.untilClosed();
    expect([stream.status, stream.events]).toEqual([200, []]);
    expect(stream.text).toMatch(/^retry: \d+\n: close\nid: 1\n\n$/);
    expect((await service.fetch("/api/events?channel=bare-busy&bare=1")).status).toBe(503);
  });
});

describe("The end of the replay", () => {
  it("is told once, to clients that ask for it", async () => {
    await service.publish(
      Array.from({ length: 50 }, (_, n) => ({ type: n % 2 === 0 ? "even" : "odd", data: n })),
      "replay",
    );
    const query = { channel: "replay", caught_up: "1", since: "earliest", types: "odd" };
    const stream = await service.stream(query);
    const told = await stream.nextEvent({ type: "caught_up" });
    expect([told.id, lastId(told.data)]).toEqual([undefined, "50"]);
    expect(stream.events.map(({ type }) => type).slice(1, -1)).toEqual(
      Array.from({ length: 25 }, () => "odd"),
    );
    await service.publish({ type: "odd", data: "live" }, "replay");
    await stream.nextEvent({ type: "odd", timeoutMs: 5_000 });
    await sleep(100);
    expect(stream.events.filter(({ type }) => type === "caught_up")).toHaveLength(1);
  });

  it("comes at once where nothing is replayed, or where the filter hides all of it", async () => {
    await service.publish({ type: "tick", data: 1 }, "at-once");
    for (const query of [
      {},
      { since: "earliest", types: "other" },
      { last_event_id: "1" },
      { last_event_id: "9" },
    ]) {
      const stream = await service.stream({ channel: "at-once", caught_up: "1", ...query });
      expect(lastId((await stream.nextEvent({ type: "caught_up" })).data)).toBe("1");
    }
  });

  it("is not told to others", async () => {
    await service.publish({ type: "tick", data: 1 }, "others");
    const stream = await service.stream({ channel: "others", since: "earliest" });
    await stream.collect(1);
    await stream.nextComment();
    expect(stream.events.map(({ type }) => type)).toEqual(["connected", "tick"]);
  });
});

describe("Parameters of other libraries", () => {
  it("are ignored on the stream and the history if the configuration lists them", async () => {
    const query = `channel=ignored&datastar=${encodeURIComponent('{"a":1}')}&utm_source=x`;
    expect((await service.fetch(`/api/history?${query}`)).status).toBe(200);
    expect((await service.fetch(`/api/events?${query}`, { method: "HEAD" })).status).toBe(200);
    expect((await service.fetch(`/api/history?${query}&unknown=1`)).status).toBe(400);
  });

  it.each(["bare=", "bare=0", "bare=1&bare=1", "caught_up=true", "caught_up"])(
    "do not excuse a wrong value: %s",
    async (query) => {
      const problem = await problemOf(await service.fetch(`/api/events?${query}`));
      expect([problem.status, problem.code]).toEqual([400, "invalid_parameter"]);
    },
  );
});
