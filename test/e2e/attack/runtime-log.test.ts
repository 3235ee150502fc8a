import { once } from "node:events";
import { connect } from "node:net";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import { startService, type Service } from "../../support/service.ts";

let service: Service;

beforeEach(async () => {
  service = await startService({ config: { logging: { level: "error" } } });
});

afterEach(() => service.stop());

/** The first line of the answer to some bytes, on a connection of their own; empty if there is none. */
async function send(bytes: string | Uint8Array, leave: "end" | "reset" | "wait"): Promise<string> {
  const socket = connect({ port: service.port, host: "127.0.0.1" });
  let answer = "";
  socket.on("data", (data: Buffer) => {
    answer += data.toString("latin1");
    if (leave === "wait") {
      socket.destroy();
    }
  });
  socket.on("error", () => {});
  const closed = once(socket, "close").catch(() => {});
  socket.on("connect", () => {
    socket.write(bytes, () => {
      if (leave === "reset") {
        socket.resetAndDestroy();
      } else if (leave === "end") {
        socket.end();
      }
    });
  });
  // A stream, and a request without an end, have answers that do not end either.
  const impatient = setTimeout(() => socket.destroy(), 1000);
  await closed;
  clearTimeout(impatient);
  return answer.split("\r\n", 1)[0] ?? "";
}

const runtimeMessages = () => service.logs.filter(({ event }) => event === "runtime_message");

/** The lines that are neither log lines nor the output of a start. */
const strayLines = () => service.output.split("\n").filter((line) => !/^(?:\{|Ready on |curl |$)/.test(line));

/** The first lines of the answers to 600 CONNECTs. */
const connectOften = async (): Promise<ReadonlySet<unknown>> => {
  const request = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
  const seen = new Set<unknown>();
  for (let round = 0; round < 6; round++) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(request, "wait")));
    answers.forEach((answer) => seen.add(answer));
  }
  return seen;
};

describe("an anonymous client", () => {
  it.skipIf(isExcepted("CONNECT that the runtime refuses"))(
    "has CONNECT refused, and nothing is printed",
    async () => {
      expect(await connectOften()).toEqual(new Set(["HTTP/1.1 400 Bad Request"]));
      expect(await service.stop()).toBe(0);
      expect(strayLines()).toEqual([]);
      expect(runtimeMessages()).toEqual([]);
    },
  );

  it.skipIf(isExcepted("CONNECT that reaches the service"))(
    "is refused CONNECT, and 600 of these requests make a handful of lines",
    async () => {
      expect(await connectOften()).toEqual(new Set(["HTTP/1.1 500 Internal Server Error"]));
      expect(await service.stop()).toBe(0);
      expect(strayLines()).toEqual([]);
      const exceptions = runtimeMessages().filter(({ message }) =>
        String(message).includes("connect() function"),
      );
      expect(exceptions.length).toBeGreaterThan(0);
      expect(exceptions.length).toBeLessThan(10);
      // One of the messages comes once, with the first request.
      expect(exceptions.reduce((sum, { count }) => sum + Number(count), 0)).toBeGreaterThanOrEqual(600);
    },
  );

  it("makes the runtime print next to nothing with malformed HTTP", { timeout: 60_000 }, async () => {
    const host = `Host: 127.0.0.1:${service.port}`;
    const publish = `POST /api/publish HTTP/1.1\r\n${host}\r\n`;
    const websocket =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const shapes: Record<string, string | Uint8Array> = {
      "no HTTP": "\0\u0001garbage\r\n\r\n",
      "no path": "GET\r\n\r\n",
      "no method that is known": `BREW / HTTP/1.1\r\n${host}\r\n\r\n`,
      "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0",
      "a hello of TLS": Buffer.from("16030102000100" + "00".repeat(300), "hex"),
      "OPTIONS *": `OPTIONS * HTTP/1.1\r\n${host}\r\n\r\n`,
      "a whole URL": `GET http://elsewhere/ HTTP/1.1\r\n${host}\r\n\r\n`,
      "no Host": "GET /health HTTP/1.1\r\n\r\n",
      "a Host that is none": "GET /health HTTP/1.1\r\nHost: a b/c#\r\n\r\n",
      "an open bracket for a Host": "GET /health HTTP/1.1\r\nHost: [::\r\n\r\n",
      "an upgrade of a stream": `GET /api/events HTTP/1.1\r\n${host}\r\n${websocket}\r\n\r\n`,
      "an upgrade of a page": `GET / HTTP/1.1\r\n${host}\r\n${websocket}\r\n\r\n`,
      Expect: `${publish}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
      "chunks that are none": `${publish}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n`,
      "an endless chunk": `${publish}Transfer-Encoding: chunked\r\n\r\n${"f".repeat(40)}\r\nabc\r\n`,
      "two kinds of length": `${publish}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
      "two lengths": `${publish}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
      "a length below 0": `${publish}Content-Length: -1\r\n\r\n`,
      "an unknown encoding": `${publish}Transfer-Encoding: gzip\r\n\r\nhello`,
      "no UTF-8": Buffer.from(`GET /\xFF\xFE?channel=\xFF HTTP/1.1\r\n${host}\r\nX: \xFF\r\n\r\n`, "latin1"),
      "a path of tricks": `GET /%zz%00\\..\\ HTTP/1.1\r\n${host}\r\n\r\n`,
      "a path through a file": `GET /index.html/x HTTP/1.1\r\n${host}\r\n\r\n`,
      "a very long path": `GET /${"a/".repeat(4000)} HTTP/1.1\r\n${host}\r\n\r\n`,
      "a very long header": `GET /health HTTP/1.1\r\n${host}\r\nX: ${"a".repeat(300_000)}\r\n\r\n`,
      "5,000 headers": `GET /health HTTP/1.1\r\n${host}\r\n${"X: 1\r\n".repeat(5000)}\r\n`,
      "a range beyond the end": `GET /index.html HTTP/1.1\r\n${host}\r\nRange: bytes=99999999-\r\n\r\n`,
      "a stream with a body": `GET /api/events HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\n\r\nhello`,
      "a pipeline that ends in garbage": `${`GET /health HTTP/1.1\r\n${host}\r\n\r\n`.repeat(20)}\0\0\r\n\r\n`,
      "half a request": `GET /health HTTP/1.1\r\n${host}`,
    };
    await Promise.all(
      Object.values(shapes).flatMap((bytes) =>
        (["end", "reset", "wait"] as const).flatMap((leave) =>
          Array.from({ length: 5 }, () => send(bytes, leave)),
        ),
      ),
    );
    expect((await service.health()).httpStatus).toBe(200);
    expect(await service.stop()).toBe(0);
    expect(strayLines()).toEqual([]);
    expect(runtimeMessages()).toEqual([]);
  });
});
