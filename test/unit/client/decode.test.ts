import { describe, expect, it } from "vitest";

import { createDecoder, memberOf, parseData, type Frame } from "../../../src/client/decode.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function decodeAll(...chunks: readonly (string | Uint8Array)[]): Frame[] {
  const frames: Frame[] = [];
  const decode = createDecoder((frame) => frames.push(frame));
  for (const chunk of chunks) {
    decode(typeof chunk === "string" ? encode(chunk) : chunk);
  }
  return frames;
}

const tick = (id: string | undefined, text: string): Frame => ({ id, event: { type: "tick", text } });
const bare = (id: string): Frame => ({ id, event: undefined });

describe("decoding a stream", () => {
  it("decodes the first frames of a stream, byte by byte", () => {
    const opening =
      "retry: 5000\n\n" +
      'event: connected\nid: 41\ndata: {"client_id":"c","last_event_id":"41"}\n\n' +
      'event: tick\nid: 42\ndata: {"n":1}\n\n';
    expect(decodeAll(opening)).toEqual([
      { id: "41", event: { type: "connected", text: '{"client_id":"c","last_event_id":"41"}' } },
      tick("42", '{"n":1}'),
    ]);
  });

  it("returns the id of a heartbeat, which dispatches nothing", () => {
    expect(decodeAll(": heartbeat\nid: 57\n\n")).toEqual([bare("57")]);
  });

  it("marks a text that looks like JSON, and no frame after it", () => {
    const chunk =
      ": text\nid: 1\ndata: 1.0\n\n: heartbeat\n\nevent: tick\nid: 2\ndata: 1.0\n\n: texts\ndata: 1\n\n";
    expect(decodeAll(chunk)).toEqual([
      { id: "1", event: { type: "message", text: "1.0", isText: true } },
      tick("2", "1.0"),
      { id: undefined, event: { type: "message", text: "1" } },
    ]);
    expect(decodeAll(...chunk)).toEqual(decodeAll(chunk));
  });

  it("returns nothing for a heartbeat without an id, a `retry` or an unknown field", () => {
    expect(decodeAll(": heartbeat\n\nretry: 5000\n\nfoo: bar\n\nretry: soon\n\n")).toEqual([]);
  });

  it("returns the id of an event without data", () => {
    expect(decodeAll("event: tick\nid: 58\n\n")).toEqual([bare("58")]);
  });

  it("keeps the order of bare ids and events within one chunk", () => {
    const chunk =
      ": heartbeat\nid: 57\n\nevent: tick\nid: 58\ndata: a\n\nid: 59\n\nid: 60\n\nevent: close\ndata: b\n\nid: 61\n\n";
    expect(decodeAll(chunk)).toEqual([
      bare("57"),
      tick("58", "a"),
      bare("59"),
      bare("60"),
      { id: undefined, event: { type: "close", text: "b" } },
      bare("61"),
    ]);
  });

  it("returns the same frames however the bytes are cut", () => {
    const text =
      ': heartbeat\nid: 57\n\nevent: tick\r\nid: 58\r\ndata: {"s":"é 😀"}\r\n\r\nid: 59\rdata: x\r\r';
    const bytes = encode(text);
    const whole = decodeAll(bytes);
    expect(whole).toEqual([
      bare("57"),
      tick("58", '{"s":"é 😀"}'),
      { id: "59", event: { type: "message", text: "x" } },
    ]);
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(decodeAll(bytes.slice(0, cut), bytes.slice(cut))).toEqual(whole);
    }
    expect(decodeAll(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it("returns nothing of a frame that was cut before its blank line", () => {
    expect(decodeAll('event: tick\nid: 58\ndata: {"n":1}\n')).toEqual([]);
  });

  it("ignores an id with NUL, and accepts an empty one", () => {
    expect(decodeAll("id: 5\0\ndata: a\n\n", "id:\n\n")).toEqual([
      { id: undefined, event: { type: "message", text: "a" } },
      bare(""),
    ]);
  });

  const endless: [string, string][] = [
    ["lines of data", `data: ${"x".repeat(64 * 1024)}\n`],
    ["a line without a name", "x".repeat(64 * 1024)],
    ["spaces", " ".repeat(64 * 1024)],
    ["comments", `: ${"x".repeat(64 * 1024)}\n`],
    ["empty comments", ":\r\n".repeat(20_000)],
    ["fields without a colon", "x\r".repeat(32 * 1024)],
    ["ids", `id: ${"1".repeat(64 * 1024)}\n`],
    ["NUL", "\0".repeat(64 * 1024)],
  ];

  it.each(endless)("refuses %s without end, as soon as it is over 1 MiB", (_, part) => {
    const decode = createDecoder(() => {});
    const most = Math.floor((1024 * 1024) / part.length);
    for (let fed = 0; fed < most; fed++) {
      expect(decode(encode(part))).toBe(false);
    }
    expect(() => decode(encode(part))).toThrow(expect.objectContaining({ code: "frame_too_large" }));
  });

  it("returns the frames before one that is too large, and nothing of that one", () => {
    const frames: Frame[] = [];
    const decode = createDecoder((frame) => frames.push(frame));
    const chunk = `event: tick\nid: 1\ndata: a\n\nevent: tick\nid: 2\ndata: ${"x".repeat(1024 * 1024)}\n\nid: 3\n\n`;
    expect(() => decode(encode(chunk))).toThrow(expect.objectContaining({ code: "frame_too_large" }));
    expect(frames).toEqual([tick("1", "a")]);
  });

  it("tells for each chunk whether a frame ended in it, whatever the line ends are", () => {
    const parts = ["event: ti", "ck\n", "data: a\r", "\n", "\r", "\n", ":", "\r", "\r", "data: b\n\ndata: c"];
    const decode = createDecoder(() => {});
    const ends = parts.map((part) => decode(encode(part)));
    expect(ends).toEqual([false, false, false, false, true, false, false, false, true, true]);
  });

  it("accepts a chunk of many frames that together exceed the limit of one frame", () => {
    const frame = `event: tick\nid: 1\ndata: "${"x".repeat(60 * 1024)}"\n\n`;
    expect(decodeAll(frame.repeat(40))).toHaveLength(40);
  });
});

describe("the data of an event", () => {
  it("is the parsed JSON", () => {
    expect(['{"a":[1]}', "null", '"text"', "12"].map(parseData)).toEqual([{ a: [1] }, null, "text", 12]);
  });

  it("is the text itself if it is not JSON", () => {
    expect(["", "{", "hello", "undefined", "1 2"].map(parseData)).toEqual([
      "",
      "{",
      "hello",
      "undefined",
      "1 2",
    ]);
  });

  it("has no members unless it is an object", () => {
    expect([null, "text", 1, undefined, []].map((data) => memberOf(data, "a"))).toEqual(
      Array(5).fill(undefined),
    );
    expect(memberOf({ a: 1 }, "a")).toBe(1);
  });
});
