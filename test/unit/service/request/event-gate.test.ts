import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readEvents } from "../../../../src/service/request/event-gate.ts";
import type { Problem } from "../../../../src/service/response/problem.ts";
import type { NewEvent } from "../../../../src/hub/log/event-log.ts";

const FIELDS = ["project_id", "agent_id"];

type Fault = Pick<Problem, "code" | "message" | "errors">;

/** Reads values as the events of a JSON array. */
function read(...values: unknown[]): { channel: string; events: readonly NewEvent[] } {
  const { channel, events } = readEvents(
    values.map((value, index) => ({ position: { index }, value })),
    "default",
    FIELDS,
  );
  return { channel, events: events.map(({ event }) => event) };
}

/** Reads the only event of a request from its JSON. */
function readJson(json: string): NewEvent | undefined {
  return read(JSON.parse(json)).events[0];
}

function faultOf(...values: unknown[]): Fault {
  try {
    read(...values);
  } catch (error) {
    return error as Problem;
  }
  throw new Error("nothing was refused");
}

function fieldsOf(...values: unknown[]): unknown[] {
  const { code, errors } = faultOf(...values);
  expect(code).toBe("invalid_event");
  return errors.map(({ field }) => field);
}

const tick = (members: object = {}): object => ({ type: "tick", data: {}, ...members });

/** Reads data. Returns how many bytes it has, or the code of the refusal. */
function sizeOf(data: string): unknown {
  try {
    return read({ type: "tick", data }).events[0]?.dataBytes;
  } catch (error) {
    const { code, errors } = error as Problem;
    return [code, ...errors.map(({ index, field }) => `${index} ${field}`)];
  }
}

/** Arrays inside one another. */
function nested(depth: number): unknown {
  return JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
}

describe("an event", () => {
  it("passes unchanged, with its data as one line of JSON", () => {
    expect(readJson('{"type":"tick","data":{ "a" : [1, 2.50, "€"] },"key":"k"}')).toEqual({
      type: "tick",
      data: '{"a":[1,2.5,"€"]}',
      isText: false,
      dataBytes: 19,
      fields: {},
      key: "k",
    });
  });

  it("has numbers as JavaScript reads them, and the last value of a repeated name", () => {
    const json = '{"type":"tick","data":{"b":1.0,  "a":1e3,"b":12345678901234567890}}';
    expect(readJson(json)?.data).toBe('{"b":12345678901234567000,"a":1000}');
  });

  it.each([null, true, 1, "text", [], [1, 2, 3]])("must be an object, not %j", (value) => {
    expect(faultOf(value)).toMatchObject({ code: "invalid_event", errors: [{ index: 0 }] });
  });

  it("that is not JSON is refused with its line", () => {
    const items = [{ position: { line: 3 }, value: undefined }];
    expect(() => readEvents(items, "default", FIELDS)).toThrow(
      expect.objectContaining({ errors: [{ line: 3, detail: "Expected valid JSON." }] }),
    );
  });

  it("has no unknown members", () => {
    expect(fieldsOf({ ...tick(), id: 1 })).toEqual(["id"]);
    expect(fieldsOf({ ...tick(), Data: 1, ["x".repeat(100)]: 1 })).toEqual(["Data", "x".repeat(64)]);
    for (const name of ["constructor", "toString", "__proto__", ""]) {
      expect(fieldsOf(JSON.parse(`{"type":"tick","data":{},${JSON.stringify(name)}:1}`))).toEqual([name]);
    }
  });

  it("is refused with at most 100 mistakes, however many unknown members it has", () => {
    const members = Object.fromEntries(Array.from({ length: 150_000 }, (_, n) => [`x${n}`, n]));
    expect(faultOf(tick(members)).errors).toHaveLength(100);
    expect(fieldsOf(tick(members))).toContain("x0");
  });

  it("is refused with all its mistakes", () => {
    const wrong = { type: "a b", project_id: "a,b", agent_id: 1.5, key: "", channel: "A" };
    expect(fieldsOf(wrong).toSorted()).toEqual(["agent_id", "channel", "data", "key", "project_id", "type"]);
    expect(fieldsOf({})).toEqual(["data"]);
  });
});

describe("the type", () => {
  it("is `message` if it is absent", () => {
    expect(read({ data: {} }).events[0]?.type).toBe("message");
    expect(read({ type: "message", data: {} }).events[0]?.type).toBe("message");
  });

  it.each([null, 1, "", "a b", "a\nb", "a,b", "a*", "x".repeat(65), ["tick"]])("may not be %j", (type) => {
    expect(fieldsOf({ type, data: {} })).toEqual(["type"]);
  });

  it.each(["connected", "gap", "error", "close", "heartbeat", "open", "caught_up"])(
    "may not be %s, which the service uses itself",
    (type) => {
      expect(fieldsOf({ type, data: {} })).toEqual(["type"]);
    },
  );
});

describe("the data", () => {
  it("may be any JSON", () => {
    for (const data of [null, false, 0, -1.5e-7, "", "a\nb\r\u0000\u2028", [], {}, { a: { b: [null] } }]) {
      expect(JSON.parse(read({ type: "tick", data }).events[0]?.data ?? "")).toEqual(data);
    }
  });

  it("never contains a line break, whatever it is", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        const [event] = read({ type: "tick", data: value }).events;
        expect(event?.data).not.toMatch(/[\r\n]/);
        expect(new TextEncoder().encode(event?.data).byteLength).toBe(event?.dataBytes);
        expect(JSON.parse(event?.data ?? "")).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 200 },
    );
  });

  it("keeps members called __proto__ and toJSON as plain data", () => {
    const json = '{"__proto__":{"a":1},"toJSON":"x","constructor":null}';
    expect(readJson(`{"type":"tick","data":${json}}`)?.data).toBe(json);
  });

  it("is required", () => {
    expect(fieldsOf({ type: "tick" })).toEqual(["data"]);
  });

  it.each(["1e999", "-1e999", '{"a":[{"b":1e400}]}'])("is refused if a number overflows: %s", (data) => {
    expect(fieldsOf(JSON.parse(`{"type":"tick","data":${data}}`))).toEqual(["data"]);
  });

  it("is at most 65,000 bytes of UTF-8, to the byte", () => {
    const room = 65_000 - 2;
    const tooLarge = ["event_too_large", "0 data"];
    expect([sizeOf("x".repeat(room)), sizeOf("x".repeat(room + 1))]).toEqual([65_000, tooLarge]);
    expect([sizeOf("é".repeat(room / 2)), sizeOf(`${"é".repeat(room / 2)}x`)]).toEqual([65_000, tooLarge]);
    const rest = "x".repeat(room % 3);
    expect(sizeOf(rest + "€".repeat(Math.floor(room / 3)))).toBe(65_000);
    expect(sizeOf(`${rest}x${"€".repeat(Math.floor(room / 3))}`)).toEqual(tooLarge);
    expect(sizeOf(`xx${"😀".repeat((room - 2) / 4)}`)).toBe(65_000);
    expect(sizeOf("😀".repeat((room - 2) / 4 + 1))).toEqual(tooLarge);
  });

  it("is at most 500 levels deep", () => {
    expect(read({ type: "tick", data: nested(500) }).events).toHaveLength(1);
    expect(fieldsOf({ type: "tick", data: nested(501) })).toEqual(["data"]);
    expect(fieldsOf({ type: "tick", data: nested(200_000) })).toEqual(["data"]);
  });
});

describe("the ids of project and agent", () => {
  it("come from the event, else from its data", () => {
    expect(read(tick({ project_id: "7", agent_id: 8 })).events[0]).toMatchObject({
      fields: { project_id: "7", agent_id: "8" },
    });
    expect(read(tick({ data: { project_id: 7, agent_id: "8" } })).events[0]).toMatchObject({
      fields: { project_id: "7", agent_id: "8" },
    });
  });

  it.each([
    ["project_id", "7", 7],
    ["agent_id", 8, "8"],
    ["project_id", "7", null],
    ["agent_id", "a", "a,b"],
    ["agent_id", "a", ""],
    ["project_id", 7, { id: 8 }],
    ["project_id", 7, 1.5],
  ])(
    "may be in both places if they are the same, or if the data has no valid id: %s %j with %j in the data",
    (name, own, inData) => {
      const [event] = read(tick({ [name]: own, data: { [name]: inData } })).events;
      expect(event?.fields).toEqual({ [name]: String(own) });
    },
  );

  it.each([
    ["project_id", 7, 8],
    ["project_id", "7", "07"],
    ["agent_id", "a", "A"],
    ["agent_id", "1", 2],
  ])("are refused if %s is %j in the event and %j in its data", (name, own, inData) => {
    const conflicting = tick({ [name]: own, data: { [name]: inData } });
    expect(faultOf(tick(), conflicting)).toMatchObject({
      code: "conflicting_field",
      errors: [{ index: 1, field: name }],
    });
  });

  it("are all named if they conflict: after malformed events, and before all other mistakes", () => {
    const conflicting = tick({ project_id: 1, agent_id: 1, data: { project_id: 2, agent_id: 2 } });
    expect(faultOf(conflicting).errors.map(({ field }) => field)).toEqual(["project_id", "agent_id"]);
    expect(faultOf(conflicting, tick({ type: "" }))).toMatchObject({
      code: "invalid_event",
      errors: [{ index: 1, field: "type" }],
    });
    expect(faultOf(conflicting, tick({ channel: "other" })).code).toBe("conflicting_field");
    expect(faultOf(tick({ data: "x".repeat(70_000) }), conflicting).code).toBe("conflicting_field");
    expect(faultOf(...Array.from({ length: 200 }, () => conflicting)).errors).toHaveLength(100);
  });

  it("are absent if they are null, and then come from the data", () => {
    expect(read(tick({ project_id: null, agent_id: null })).events[0]?.fields).toEqual({});
    const [event] = read(tick({ project_id: null, data: { project_id: 2, agent_id: null } })).events;
    expect(event?.fields).toEqual({ project_id: "2" });
  });

  it("count as their decimal text if they are numbers", () => {
    const texts = ["0", "-0", "1.0", "1e3", "-5", "9007199254740991"].map(
      (number) => readJson(`{"type":"tick","data":{},"project_id":${number}}`)?.fields["project_id"],
    );
    expect(texts).toEqual(["0", "0", "1", "1000", "-5", "9007199254740991"]);
  });

  const IMPOSSIBLE = [
    "",
    "a,b",
    "a\nb",
    "\u0000",
    "x".repeat(129),
    "\ud800",
    1.5,
    2 ** 53,
    Number.POSITIVE_INFINITY,
    true,
    [],
    {},
  ];

  it.each(IMPOSSIBLE)("are refused in the event if they are impossible: %j", (id) => {
    expect(fieldsOf(tick({ project_id: id }))).toEqual(["project_id"]);
    expect(fieldsOf(tick({ agent_id: id }))).toEqual(["agent_id"]);
  });

  it.each(IMPOSSIBLE.filter((id) => id !== Number.POSITIVE_INFINITY))(
    "are ignored in the data if they are impossible: %j",
    (id) => {
      expect(read(tick({ data: { project_id: id, agent_id: id } })).events[0]?.fields).toEqual({});
    },
  );

  it("are not read from data that is not an object, or from a prototype", () => {
    for (const data of ["project_id", ["project_id"], null, 7]) {
      expect(read(tick({ data })).events[0]?.fields).toEqual({});
    }
    expect(readJson('{"type":"tick","data":{"__proto__":{"project_id":7}}}')?.fields).toEqual({});
  });
});

function fieldsWith(names: readonly string[], value: unknown): unknown {
  return readEvents([{ position: { index: 0 }, value }], "default", names).events[0]?.event.fields;
}

describe("the fields of a deployment", () => {
  it("are the only ones that are read, in the order of the configuration", () => {
    const data = { project_id: 1, b: "2", a: 3, constructor: "c" };
    expect(fieldsWith([], { data })).toEqual({});
    expect(Object.entries(fieldsWith(["a", "constructor", "b"], { data }) ?? {})).toEqual([
      ["a", "3"],
      ["constructor", "c"],
      ["b", "2"],
    ]);
  });

  it("have no values that every object inherits", () => {
    expect(fieldsWith(["constructor"], { data: {} })).toEqual({});
    expect(fieldsWith(["constructor"], { data: {}, constructor: 1 })).toEqual({ constructor: "1" });
  });

  it("stand beside a text too", () => {
    expect(fieldsWith(["a"], { text: '{"a":1}', a: 2 })).toEqual({ a: "2" });
    expect(fieldsWith(["a"], { text: '{"a":1}' })).toEqual({});
  });
});

describe("the text", () => {
  it("passes unchanged, with the size that it has as lines of a frame", () => {
    expect(read({ text: "é\r\nb\rc\n" }).events[0]).toEqual({
      type: "message",
      data: "é\r\nb\rc\n",
      isText: true,
      dataBytes: 8 + 3 * "data: ".length,
      fields: {},
      key: null,
    });
  });

  it.each(["", 1, null, {}, ["a"], "a\u0000", "\ud800", "a\udc00b"])("may not be %j", (text) => {
    expect(fieldsOf({ text })).toEqual(["text"]);
  });

  it("may not come with data, even if that is null", () => {
    expect(fieldsOf({ text: "a", data: null })).toEqual(["text"]);
  });

  it("may have 65,000 bytes, not counting what its lines cost in a frame", () => {
    expect(read({ text: "\n".repeat(65_000) }).events).toHaveLength(1);
    expect(faultOf({ text: `${"€".repeat(21_666)}aaa` })).toMatchObject({
      code: "event_too_large",
      errors: [{ index: 0, field: "text" }],
    });
  });
});

describe("the idempotency key", () => {
  it.each(["a", " ", "x".repeat(128), "ä😀,;"])("may be %j", (key) => {
    expect(read(tick({ key })).events[0]).toMatchObject({ key });
  });

  it.each(["", "x".repeat(129), 1, true, {}, "\ud800", "a\nb", "a\rb", "a\u0000b"])(
    "may not be %j",
    (key) => {
      expect(fieldsOf(tick({ key }))).toEqual(["key"]);
    },
  );

  it("is absent if it is null", () => {
    expect(read(tick({ key: null })).events[0]).toMatchObject({ key: null });
  });
});

describe("the channel of a request", () => {
  it("comes from its events, else from the query", () => {
    expect(read(tick()).channel).toBe("default");
    expect(read(tick({ channel: "a" }), tick({ channel: "a" })).channel).toBe("a");
    expect(read(tick({ channel: "default" }), tick()).channel).toBe("default");
  });

  it("is the same for all its events", () => {
    expect(faultOf(tick({ channel: "a" }), tick({ channel: "b" })).code).toBe("mixed_channels");
    expect(faultOf(tick({ channel: "a" }), tick()).code).toBe("mixed_channels");
  });

  it.each(["", "A", "a b", 1, null, "../x"])("may not be %j", (channel) => {
    expect(fieldsOf(tick({ channel }))).toEqual(["channel"]);
  });
});

describe("a batch", () => {
  it("is refused as a whole, with every mistake and its place", () => {
    const { code, errors, message } = faultOf(tick(), tick({ type: "" }), tick(), { type: "tick" });
    expect(code).toBe("invalid_event");
    expect(errors.map(({ index, field }) => [index, field])).toEqual([
      [1, "type"],
      [3, "data"],
    ]);
    expect(message).toContain("event 1");
  });

  it("is refused with at most 100 mistakes", () => {
    expect(faultOf(...Array.from({ length: 1_000 }, () => ({}))).errors).toHaveLength(100);
  });

  it("reports malformed events before large ones and mixed channels", () => {
    const large = tick({ data: "x".repeat(70_000) });
    expect(faultOf(large, tick({ type: "" })).code).toBe("invalid_event");
    expect(faultOf(tick({ type: "" }), tick({ channel: "b" })).code).toBe("invalid_event");
    expect(faultOf(large, tick({ channel: "b" })).code).toBe("mixed_channels");
    expect(faultOf(tick(), large)).toMatchObject({
      code: "event_too_large",
      errors: [{ index: 1, field: "data" }],
    });
  });
});
