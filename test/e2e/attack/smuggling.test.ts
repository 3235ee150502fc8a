import { connect } from "node:net";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import { publishToken, startService, type Service } from "../../support/service.ts";

/** How long a second answer is waited for. An answer of this service takes a few milliseconds. */
const SILENCE_MS = 300;

/** The request that an attacker hides in another one. A proxy with kept connections could give its answer to another user. */
const HIDDEN = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

const EVENT = '{"type":"a","data":1}';

const ROUTES: [method: string, path: string][] = [
  ["HEAD", "/api/events"],
  ["POST", "/api/publish"],
  ["GET", "/api/history"],
  ["HEAD", "/api/history"],
  ["POST", "/api/tickets"],
  ["GET", "/health"],
  ["HEAD", "/health"],
  ["GET", "/metrics"],
  ["GET", "/api/admin/clients"],
  ["DELETE", "/api/admin/clients/x"],
  ["POST", "/api/admin/drain"],
  ["POST", "/api/admin/shutdown"],
  ["OPTIONS", "/api/events"],
  ["GET", "/"],
  ["POST", "/nothing"],
];

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

/** The statuses of everything that is answered to some bytes on one connection. */
function statusesOf(bytes: string): Promise<number[]> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(service.port, "127.0.0.1");
    const finish = (): void => {
      socket.destroy();
      // A body need not end with a line, so a status line can follow on the same one.
      resolve([...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status)));
    };
    socket.setEncoding("latin1").setTimeout(SILENCE_MS, finish);
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("error", finish).on("end", finish);
    socket.write(Buffer.from(bytes, "latin1"));
  });
}

function head(method: string, path: string, ...lines: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, "Host: localhost", ...lines].join("\r\n");
}

/** The head of a publish that would be stored. */
function publish(...lines: readonly string[]): string {
  const authorization = `Authorization: Bearer ${publishToken}`;
  return `${head("POST", "/api/publish", authorization, "Content-Type: application/json", ...lines)}\r\n\r\n`;
}

describe("A request hidden in the body of another one is not answered", () => {
  it.each(ROUTES)("%s %s, with a length and with chunks", async (method, path) => {
    const long = `${head(method, path, `Content-Length: ${HIDDEN.length}`)}\r\n\r\n${HIDDEN}`;
    const size = HIDDEN.length.toString(16);
    const chunked = `${head(method, path, "Transfer-Encoding: chunked")}\r\n\r\n${size}\r\n${HIDDEN}\r\n0\r\n\r\n`;
    expect([await statusesOf(long), await statusesOf(chunked)]).toEqual([
      [expect.any(Number)],
      [expect.any(Number)],
    ]);
  });

  it("and the next request on the connection is answered, in order", async () => {
    const asked = `${head("GET", "/health", `Content-Length: ${HIDDEN.length}`)}\r\n\r\n${HIDDEN}`;
    expect(await statusesOf(`${asked}${head("GET", "/nothing")}\r\n\r\n`)).toEqual([200, 404]);
  });
});

describe("A request whose end is ambiguous", () => {
  it.each([
    ["two lengths", publish("Content-Length: 21", "Content-Length: 5") + EVENT],
    ["a list of lengths", publish("Content-Length: 21, 21") + EVENT],
    ["a length with a sign", publish("Content-Length: +21") + EVENT],
    ["a length in hexadecimal", publish("Content-Length: 0x15") + EVENT],
    ["an unknown coding", publish("Transfer-Encoding: xchunked") + EVENT],
    ["no coding and a length", publish("Transfer-Encoding: identity", "Content-Length: 21") + EVENT],
    ["two codings", publish("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + EVENT],
    ["a blank before a colon", publish("Transfer-Encoding : chunked", "Content-Length: 21") + EVENT],
    ["a folded line", publish("Transfer-Encoding:\r\n chunked", "Content-Length: 21") + EVENT],
    ["a bare CR", publish("X: a\rTransfer-Encoding: chunked", "Content-Length: 21") + EVENT],
    ["a NUL", publish("X: a\0b", "Content-Length: 21") + EVENT],
  ])("is refused, and no event is stored: %s", async (_what, bytes) => {
    const before = (await service.health()).sse.last_event_id;
    expect(await statusesOf(bytes)).toEqual([400]);
    expect((await service.health()).sse.last_event_id).toBe(before);
  });

  it.each([
    ["a chunk that ends with a bare LF", `${publish("Transfer-Encoding: chunked")}15\n${EVENT}\n0\n\n`],
    [
      "a chunk that ends with a bare LF, and a request behind it",
      `${publish("Transfer-Encoding: chunked")}15\n${EVENT}\n0\n\n${HIDDEN}`,
    ],
    [
      "an extension of a chunk that ends with a bare LF",
      `${publish("Transfer-Encoding: chunked")}15;a\n${EVENT}\r\n0\r\n\r\n`,
    ],
    ["a prefix of a chunk size", `${publish("Transfer-Encoding: chunked")}0x15\r\n${EVENT}\r\n0\r\n\r\n`],
    [
      "a chunk size that overflows",
      `${publish("Transfer-Encoding: chunked")}10000000000000015\r\n${EVENT}\r\n0\r\n\r\n`,
    ],
  ])("is not stored: %s", async (_what, bytes) => {
    const before = (await service.health()).sse.last_event_id;
    expect(await statusesOf(bytes)).toEqual(isExcepted("an answer to malformed chunks") ? [] : [400]);
    expect((await service.health()).sse.last_event_id).toBe(before);
  });

  it("is refused, or ends its connection, if it has a length and chunks", async () => {
    const both = publish("Content-Length: 4", "Transfer-Encoding: chunked");
    const statuses = await statusesOf(`${both}15\r\n${EVENT}\r\n0\r\n\r\n${HIDDEN}`);
    expect(statuses).toEqual(isExcepted("a length beside chunks") ? [400] : [200]);
  });
});
