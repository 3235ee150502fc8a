import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { encodeEvent, encodeFrame, encodeText, type Frame } from "../../../src/sse/encode.ts";
import { decodeStream } from "../../support/hub/frames.ts";

/** Characters that break a line or make a reader ignore an id. */
const LINE_ENDERS = ["\n", "\r", "\r\n", "\u0000"];

const oneLine = fc
  .string({ unit: "grapheme" })
  .filter((text) => LINE_ENDERS.every((end) => !text.includes(end)));
const manyLines = fc
  .array(fc.oneof(oneLine, fc.constantFrom("\n", "\r", "\r\n", " ", ":", "data: x", "id: 9", "")))
  .map((parts) => parts.join(""));

describe("encodeFrame", () => {
  it("writes comment, retry, event, id and data in this order, and a blank line", () => {
    const frame = { data: "{}", id: 42, event: "tick", retry: 5000, comment: "hello" };
    expect(encodeFrame(frame)).toBe(": hello\nretry: 5000\nevent: tick\nid: 42\ndata: {}\n\n");
  });

  it("writes only the fields that are present", () => {
    expect(encodeFrame({ comment: "heartbeat" })).toBe(": heartbeat\n\n");
    expect(encodeFrame({ comment: "heartbeat", id: 57 })).toBe(": heartbeat\nid: 57\n\n");
    expect(encodeFrame({ retry: 0 })).toBe("retry: 0\n\n");
    expect(encodeFrame({ id: 0, data: "" })).toBe("id: 0\ndata: \n\n");
  });

  it.each([
    ["one line", "a", "data: a\n\n"],
    ["nothing", "", "data: \n\n"],
    ["LF", "a\nb", "data: a\ndata: b\n\n"],
    ["CR", "a\rb", "data: a\ndata: b\n\n"],
    ["CR LF, which is one line break", "a\r\nb", "data: a\ndata: b\n\n"],
    ["LF CR, which are two", "a\n\rb", "data: a\ndata: \ndata: b\n\n"],
    ["a line break at the end", "a\n", "data: a\ndata: \n\n"],
    ["a line break alone", "\n", "data: \ndata: \n\n"],
    ["an empty line, which must not end the block", "a\n\nb", "data: a\ndata: \ndata: b\n\n"],
    ["a leading space, because the reader removes one", " a", "data:  a\n\n"],
    ["a colon at the start", ":a", "data: :a\n\n"],
    ["a line that looks like a field", "a\nid: 9\nevent: x", "data: a\ndata: id: 9\ndata: event: x\n\n"],
    ["U+2028, U+2029, U+0085, VT and FF, which are not line breaks", "a\u2028b\u2029c\u0085d\ve\f", null],
    ["NUL", "a\u0000b", "data: a\u0000b\n\n"],
  ])("writes data with %s", (_, data, expected) => {
    const text = encodeFrame({ data });
    expect(text).toBe(expected ?? `data: ${data}\n\n`);
    const [event] = decodeStream(text).events;
    expect(event?.data).toBe(data.replaceAll(/\r\n|\r/g, "\n"));
  });

  it.each(
    (["comment", "event", "id"] as const).flatMap((field) => LINE_ENDERS.map((end) => [end, field] as const)),
  )("refuses %j in %s: it would end the line, or the reader would ignore it", (end, field) => {
    for (const text of [`a${end}b`, end, `${end}data: injected`, `a${end}`]) {
      expect(() => encodeFrame({ [field]: text, data: "x" })).toThrow(TypeError);
    }
  });

  it("writes any frame so that a reader gets the same fields", () => {
    const frames = fc.record(
      {
        comment: oneLine,
        retry: fc.nat(),
        event: oneLine.filter((text) => text !== ""),
        id: fc.oneof(oneLine, fc.nat()),
        data: manyLines,
      },
      { requiredKeys: [] },
    ) satisfies fc.Arbitrary<Frame>;
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 5 }), (blocks) => {
        const seen = decodeStream(blocks.map(encodeFrame).join(""));
        expect(seen.comments).toEqual(blocks.flatMap(({ comment }) => comment ?? []));
        expect(seen.retries).toEqual(blocks.flatMap(({ retry }) => retry ?? []));
        expect(seen.events).toEqual(
          blocks
            .filter(({ data }) => data !== undefined)
            .map(({ event = "message", id, data = "" }) => ({
              type: event,
              id: id === undefined ? undefined : String(id),
              data: data.replaceAll(/\r\n|\r/g, "\n"),
            })),
        );
        expect(seen.lastEventId).toBe(String(blocks.findLast(({ id }) => id !== undefined)?.id ?? ""));
      }),
      { numRuns: 200 },
    );
  });
});

describe("encodeEvent", () => {
  it("writes event, id and data", () => {
    expect(encodeEvent("state_transition", 42, '{"agent_id":1}')).toBe(
      'event: state_transition\nid: 42\ndata: {"agent_id":1}\n\n',
    );
  });

  it("writes the same as encodeFrame for any JSON", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (data, id) => {
        expect(encodeEvent("tick", id, data)).toBe(encodeFrame({ event: "tick", id, data }));
      }),
      { numRuns: 200 },
    );
  });

  it("writes no event field for the default type", () => {
    expect(encodeEvent("message", 42, "1")).toBe("id: 42\ndata: 1\n\n");
  });

  it("writes the largest id in full", () => {
    expect(encodeEvent("tick", Number.MAX_SAFE_INTEGER, "0")).toContain("\nid: 9007199254740991\n");
  });
});

describe("encodeText", () => {
  it("writes a line of data for each line, however it ends", () => {
    expect(encodeText("note", 7, "a\r\nb\rc\n\nevent: x\n")).toBe(
      "event: note\nid: 7\ndata: a\ndata: b\ndata: c\ndata: \ndata: event: x\ndata: \n\n",
    );
  });

  it.each(["1", "1.0", ' {"a":[1]}\n', "null", '"a"', "-0"])("marks what is JSON by itself: %j", (text) => {
    expect(encodeText("message", 7, text)).toMatch(/^: text\nid: 7\ndata: /);
  });

  it.each(["", " ", "a", "nul", "true story", "{", "<p>1</p>", "1,2", "\u00a01", "01"])(
    "marks nothing else: %j",
    (text) => {
      expect(encodeText("message", 7, text)).toMatch(/^id: 7\ndata: /);
    },
  );

  it("is read as the same text, whatever it is, and injects nothing", () => {
    fc.assert(
      fc.property(fc.oneof(manyLines, fc.json()), fc.nat(), (text, id) => {
        const { events, lastEventId } = decodeStream(encodeText("note", id, text));
        expect(events).toEqual([{ type: "note", id: String(id), data: text.replaceAll(/\r\n|\r/g, "\n") }]);
        expect(lastEventId).toBe(String(id));
      }),
      { numRuns: 200 },
    );
  });
});
