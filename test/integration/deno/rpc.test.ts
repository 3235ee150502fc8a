import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { processClock as clock } from "../../../src/deno/clock.ts";
import { Caller, RpcFailure } from "../../../src/deno/rpc/caller.ts";

const CALL = { port: "hub", of: "news", method: "health", args: [] };
const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/** How a peer answers each request. */
let behave: (socket: Socket) => void;
let server: Server;
let caller: Caller;

beforeEach(async () => {
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => behave(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  caller = new Caller({ port, token: "token" }, { clock, fetch });
});

afterEach(() => void server.close());

describe("a call of a process that dies", () => {
  it.each([
    ["before it answers", ""],
    ["in the middle of its answer", 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"value":1'],
    ["in the middle of the head", "HTTP/1.1 200"],
  ])("%s fails at once", async (_, said) => {
    behave = (socket) => socket.write(said, () => socket.resetAndDestroy());
    await expect(caller.call(CALL)).rejects.toThrow(RpcFailure);
  });

  it("fails at once if nothing listens any more", async () => {
    server.close();
    await expect(caller.call(CALL)).rejects.toThrow(RpcFailure);
  });

  it("breaks its streams", async () => {
    const dying = Promise.withResolvers<Socket>();
    behave = (socket) => socket.write(`${STREAM_HEAD}5\r\n: hi\n\r\n`, () => dying.resolve(socket));
    const reader = (await caller.open(CALL)).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(": hi\n");
    (await dying.promise).resetAndDestroy();
    await expect(reader.read()).rejects.toThrow(TypeError);
  });
});

describe("a call of another program, which took the port of a process that has died", () => {
  it("does not follow it to another address", async () => {
    behave = (socket) =>
      socket.end(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
      );
    await expect(caller.call(CALL)).rejects.toThrow(RpcFailure);
  });

  it("takes no answer that is not ours", async () => {
    behave = (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n");
    await expect(caller.call(CALL)).rejects.toThrow(RpcFailure);
  });
});

describe("a stream that is no longer read", () => {
  it("ends at the other process", async () => {
    const closed = Promise.withResolvers<void>();
    behave = (socket) => {
      socket.once("close", () => closed.resolve());
      socket.write(`${STREAM_HEAD}5\r\n: hi\n\r\n`);
    };
    const controller = new AbortController();
    const reader = (await caller.open(CALL, controller.signal)).getReader();
    await reader.read();
    const read = reader.read();
    controller.abort();
    await expect(read).rejects.toThrow("aborted");
    await closed.promise;
  });
});
