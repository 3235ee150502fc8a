import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";

import { openReceiver, type Attention, type Receiver } from "../../../bench/receiver.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
  }
});

/** Serves a body in chunks of so many bytes, sent in writes of so many bytes. */
async function serve(body: string, chunkBytes: number, writeBytes: number): Promise<number> {
  const chunks = pieces(body, chunkBytes).map((data) => `${data.length.toString(16)}\r\n${data}\r\n`);
  const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n\r\n`;
  const server = createServer({ noDelay: true }, (socket) => {
    const writes = pieces(answer, writeBytes);
    const next = (): void => {
      const write = writes.shift();
      if (write === undefined) {
        socket.end();
      } else {
        socket.write(write, () => setImmediate(next));
      }
    };
    socket.on("error", () => {}).once("data", next);
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

function pieces(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}

async function receive(
  port: number,
  attention: Attention,
): Promise<{ receiver: Receiver; stamps: number[]; why: string }> {
  const stamps: number[] = [];
  const ended = Promise.withResolvers<string>();
  const receiver = openReceiver({
    port,
    path: "/",
    lastEventId: null,
    attention,
    onStamp: (stamp) => stamps.push(stamp),
    onOpen: () => {},
    onEnd: ended.resolve,
  });
  const why = await ended.promise;
  receiver.close();
  return { receiver, stamps, why };
}

const frame = (id: number): string => `event: t\nid: ${id}\ndata: {"at":${id}.5}\n\n`;
const connected = 'retry: 5000\nevent: connected\nid: 7\ndata: {"last_event_id":"7"}\n\n';
const ids = Array.from({ length: 20 }, (_, index) => index + 8);
const stream = connected + ids.map(frame).join("");

describe("a receiver", () => {
  test.each([
    [1, 1],
    [3, 7],
    [45, 16],
    [64, 1_000],
    [10_000, 5],
  ])("reads every event through chunks of %i and writes of %i bytes", async (chunkBytes, writeBytes) => {
    const port = await serve(stream, chunkBytes, writeBytes);
    const { receiver, stamps } = await receive(port, "every");
    expect(receiver).toMatchObject({ lastId: 27, events: 20, faults: 0 });
    expect(stamps).toEqual(ids.map((id) => id + 0.5));
    expect((await receive(port, "newest")).receiver.lastId).toBe(27);
  });

  test("sees a hole, a double and a wrong order", async () => {
    const port = await serve(connected + [8, 10, 10, 9].map(frame).join(""), 100, 100);
    expect((await receive(port, "every")).receiver).toMatchObject({ events: 4, faults: 3 });
  });

  test("does not take an id whose line is cut for a whole one", async () => {
    const port = await serve(`${connected}event: t\nid: 123`, 1_000, 1_000);
    expect((await receive(port, "newest")).receiver.lastId).toBe(7);
  });

  test("ignores comments", async () => {
    const port = await serve(`${connected}: heartbeat\n\n${frame(8)}`, 1_000, 1_000);
    expect((await receive(port, "every")).receiver).toMatchObject({ lastId: 8, events: 1, faults: 0 });
  });
});
