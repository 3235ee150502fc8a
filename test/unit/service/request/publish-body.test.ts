import { describe, expect, it } from "vitest";

import { readItems, type Item } from "../../../../src/service/request/publish-body.ts";

const JSON_TYPE = "application/json";
const NDJSON_TYPE = "application/x-ndjson";

const URL = "https://example.com/api/publish";

function read(
  body: string | Uint8Array<ArrayBuffer>,
  type = JSON_TYPE,
  headers: Record<string, string> = {},
): Promise<readonly Item[]> {
  return readItems(new Request(URL, { method: "POST", body, headers: { "Content-Type": type, ...headers } }));
}

/** A body of unknown length, in pieces. It counts how much was read. */
function streamed(pieces: number, size: number): { body: ReadableStream<Uint8Array>; asked: () => number } {
  let asked = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (asked++ < pieces) {
        controller.enqueue(new Uint8Array(size).fill(0x20));
      } else {
        controller.close();
      }
    },
  });
  return { body, asked: () => asked };
}

function readStreamed(body: ReadableStream<Uint8Array>): Promise<readonly Item[]> {
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    body,
    headers: { "Content-Type": JSON_TYPE },
    duplex: "half",
  };
  return readItems(new Request(URL, init));
}

/** A JSON body of a number of bytes. */
function textOf(size: number): string {
  return `"${"x".repeat(size - 2)}"`;
}

/** A JSON body of a number of events. */
function eventsOf(count: number): string {
  return JSON.stringify(Array.from({ length: count }, () => 1));
}

describe("a JSON body", () => {
  it("is one event or an array of them", async () => {
    expect(await read('{"a":1}')).toEqual([{ position: { index: 0 }, value: { a: 1 } }]);
    expect(await read('[1,{"b":2}]')).toEqual([
      { position: { index: 0 }, value: 1 },
      { position: { index: 1 }, value: { b: 2 } },
    ]);
  });

  it.each(["", " ", "{", "[1,]", "undefined", "NaN", "{'a':1}", '{"a":1}{"b":2}', '{"a":1}\n{"b":2}'])(
    "that is not valid JSON is refused: %j",
    async (body) => {
      await expect(read(body)).rejects.toMatchObject({ code: "invalid_body" });
    },
  );

  it("without events is refused", async () => {
    await expect(read("[]")).rejects.toMatchObject({ code: "invalid_body" });
  });

  it("may start with a byte order mark", async () => {
    expect(await read("\ufeff[1]")).toHaveLength(1);
  });
});

describe("an NDJSON body", () => {
  it("has one event on each line, and counts blank lines in line numbers", async () => {
    expect(await read('{"a":1}\n\n  \r\n{"b":2}\r\n{"c":3}', NDJSON_TYPE)).toEqual([
      { position: { line: 1 }, value: { a: 1 } },
      { position: { line: 4 }, value: { b: 2 } },
      { position: { line: 5 }, value: { c: 3 } },
    ]);
  });

  it("may have a million blank lines before its event", async () => {
    expect(await read(`${"\n".repeat(1_000_000)}{"a":1}`, NDJSON_TYPE)).toEqual([
      { position: { line: 1_000_001 }, value: { a: 1 } },
    ]);
  });

  it("passes on a line that is not JSON, which is reported with the other mistakes", async () => {
    expect(await read('{"a":1}\n{"b":', NDJSON_TYPE)).toEqual([
      { position: { line: 1 }, value: { a: 1 } },
      { position: { line: 2 }, value: undefined },
    ]);
  });

  it.each(["", "\n", "\n \r\n\t\n"])("without events is refused: %j", async (body) => {
    await expect(read(body, NDJSON_TYPE)).rejects.toMatchObject({ code: "invalid_body" });
  });
});

describe("the type of a body", () => {
  it.each([
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "application/json; foo=bar",
    "application/x-ndjson",
    "application/x-ndjson; charset=utf-8",
  ])("may be %s", async (type) => {
    expect(await read("1", type)).toHaveLength(1);
  });

  it.each([
    "",
    "text/plain",
    "application/jsonp",
    "application/ld+json",
    "application/json; charset=iso-8859-1",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/json",
    "application/json, text/plain",
  ])("may not be %j", async (type) => {
    await expect(read("1", type)).rejects.toMatchObject({ code: "unsupported_media_type" });
  });

  it("is required", async () => {
    const request = new Request(URL, { method: "POST", body: new TextEncoder().encode("1") });
    await expect(readItems(request)).rejects.toMatchObject({ code: "unsupported_media_type" });
  });

  it("must not come with a Content-Encoding", async () => {
    await expect(read("1", JSON_TYPE, { "Content-Encoding": "gzip" })).rejects.toMatchObject({
      code: "unsupported_media_type",
    });
    expect(await read("1", JSON_TYPE, { "Content-Encoding": "identity" })).toHaveLength(1);
  });

  it("is checked before the body is read", async () => {
    const { body, asked } = streamed(1_000, 1_000);
    const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
    const before = asked();
    await expect(readItems(new Request(URL, init))).rejects.toMatchObject({ code: "unsupported_media_type" });
    expect(asked() - before).toBeLessThanOrEqual(1);
  });
});

describe("the size of a body", () => {
  const MEBIBYTE = 1024 * 1024;

  it("is at most 1 MiB, to the byte", async () => {
    expect(await read(textOf(MEBIBYTE))).toHaveLength(1);
    await expect(read(textOf(MEBIBYTE + 1))).rejects.toMatchObject({ code: "body_too_large" });
  });

  it("is refused by its Content-Length, without reading the body", async () => {
    await expect(read("1", JSON_TYPE, { "Content-Length": String(MEBIBYTE + 1) })).rejects.toMatchObject({
      code: "body_too_large",
    });
  });

  it("is refused without a Content-Length once 1 MiB is read", async () => {
    const { body, asked } = streamed(1_000_000, 64 * 1024);
    await expect(readStreamed(body)).rejects.toMatchObject({ code: "body_too_large" });
    expect(asked()).toBeLessThan(24);
  });

  it("may be unknown, and the body may come in any pieces", async () => {
    const bytes = new TextEncoder().encode('["€😀", 2]');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) {
          controller.enqueue(Uint8Array.of(byte));
        }
        controller.close();
      },
    });
    expect((await readStreamed(body)).map(({ value }) => value)).toEqual(["€😀", 2]);
  });

  it("is at most 1,000 events", async () => {
    expect(await read(eventsOf(1_000))).toHaveLength(1_000);
    await expect(read(eventsOf(1_001))).rejects.toMatchObject({ code: "too_many_events" });
    expect(await read("1\n".repeat(1_000), NDJSON_TYPE)).toHaveLength(1_000);
    await expect(read("1\n".repeat(1_001), NDJSON_TYPE)).rejects.toMatchObject({ code: "too_many_events" });
  });

  it("is checked before its events are: 413 comes before 400", async () => {
    await expect(read("{\n".repeat(1_001), NDJSON_TYPE)).rejects.toMatchObject({ code: "too_many_events" });
  });
});

describe("invalid UTF-8", () => {
  it.each([
    ["a byte that none is", [0x22, 0xff, 0x22]],
    ["half a character", [0x22, 0xe2, 0x82, 0x22]],
    ["an overlong slash", [0x22, 0xc0, 0xaf, 0x22]],
    ["a surrogate", [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ])("is refused: %s", async (_, bytes) => {
    await expect(read(Uint8Array.from(bytes))).rejects.toMatchObject({ code: "invalid_body" });
    await expect(read(Uint8Array.from(bytes), NDJSON_TYPE)).rejects.toMatchObject({ code: "invalid_body" });
  });
});
