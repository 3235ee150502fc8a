import { connect, type Socket } from "node:net";

import { createUnchunk } from "./chunked.ts";

/**
 * How closely a receiver looks at incoming bytes.
 * - `idle`: not at all.
 * - `newest`: it finds the newest id of each read. Ids have no holes, so this id tells how many events have arrived.
 *   The cost is one search for each read instead of one for each event.
 * - `every`: it decodes each frame, checks its id and reads the time of its publish.
 */
export type Attention = "idle" | "newest" | "every";

export interface Receiver {
  /** The newest event id that arrived completely; -1 before the first frame. */
  lastId: number;
  /** Counted only with `every`. */
  events: number;
  faults: number;
  close(): void;
}

interface Options {
  port: number;
  path: string;
  lastEventId: string | null;
  attention: Attention;
  /** Called for an event whose data holds `"at"`, the time of its publish call. */
  onStamp: (stamp: number) => void;
  onOpen: () => void;
  onEnd: (why: string) => void;
}

type Consume = (bytes: Buffer, start: number, end: number) => void;

/**
 * One buffer for all sockets. Each read is consumed before the next one, and a buffer for each read would be the
 * largest cost.
 */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

const LF = 10;

/** Requests a stream on a raw socket. An HTTP client would cost more than the load itself. */
export function openReceiver(options: Options): Receiver {
  let head = "";
  let consume: Consume = readHead;
  const socket = connect({
    host: "127.0.0.1",
    port: options.port,
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback: (size) => {
        consume(readBuffer, 0, size);
        return true;
      },
    },
  });
  const receiver: Receiver = { lastId: -1, events: 0, faults: 0, close: () => destroySilently(socket) };
  socket.on("connect", () => socket.write(requestOf(options)));
  socket.on("error", (error) => options.onEnd(error.message));
  socket.on("end", () => options.onEnd("the stream ended"));
  return receiver;

  function readHead(bytes: Buffer, start: number, end: number): void {
    const before = head.length;
    head += bytes.toString("latin1", start, end);
    const length = head.indexOf("\r\n\r\n") + 4;
    if (length === 3) {
      return;
    }
    if (!/^HTTP\/1\.1 200 .*^transfer-encoding: *chunked\r$/ims.test(head)) {
      options.onEnd(head.slice(0, 1_000));
      socket.destroy();
      return;
    }
    consume = consumerOf(options, receiver);
    options.onOpen();
    consume(bytes, start + length - before, end);
  }
}

function requestOf({ path, lastEventId }: Options): string {
  const resume = lastEventId === null ? "" : `Last-Event-ID: ${lastEventId}\r\n`;
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n${resume}\r\n`;
}

function destroySilently(socket: Socket): void {
  socket.removeAllListeners("error").removeAllListeners("end");
  socket.on("error", () => {}).destroy();
}

function consumerOf({ attention, onStamp }: Options, receiver: Receiver): Consume {
  if (attention === "idle") {
    return () => {};
  }
  return attention === "newest" ? consumeNewest(receiver) : consumeEvery(receiver, onStamp);
}

const idMarker = Buffer.from("\nid: ");

/** The length of the marker, the 16 digits of an id below 2^53, and the end of the line. */
const ID_LINE_MAX = idMarker.length + 17;

function consumeNewest(receiver: Receiver): Consume {
  const unchunk = createUnchunk();
  // The end of the previous bytes, if they ended within a frame: a read may cut an id anywhere.
  let tail = "";
  return (bytes, start, end) => {
    unchunk(bytes, start, end, (from, to) => {
      let id = newestIdIn(bytes.subarray(from, to));
      if (id === -1 && tail !== "") {
        const next = bytes.toString("latin1", from, Math.min(to, from + ID_LINE_MAX));
        id = newestIdIn(Buffer.from(tail + next, "latin1"));
      }
      receiver.lastId = Math.max(receiver.lastId, id);
      const frameEnds = to - from >= 2 && bytes[to - 1] === LF && bytes[to - 2] === LF;
      tail = frameEnds
        ? ""
        : (tail + bytes.toString("latin1", Math.max(from, to - ID_LINE_MAX), to)).slice(-ID_LINE_MAX);
    });
  };
}

/** Searches from the end for an id whose line is complete; -1 if there is none. */
function newestIdIn(bytes: Buffer): number {
  let marker = bytes.length;
  while (marker > 0) {
    marker = bytes.lastIndexOf(idMarker, marker - 1);
    if (marker === -1) {
      break;
    }
    let at = marker + idMarker.length;
    let id = 0;
    for (let byte = bytes[at] ?? 0; byte >= 48 && byte <= 57; byte = bytes[++at] ?? 0) {
      id = id * 10 + byte - 48;
    }
    if (bytes[at] === LF) {
      return id;
    }
  }
  return -1;
}

function consumeEvery(receiver: Receiver, onStamp: (stamp: number) => void): Consume {
  const unchunk = createUnchunk();
  let text = "";
  return (bytes, start, end) => {
    unchunk(bytes, start, end, (from, to) => {
      text += bytes.toString("latin1", from, to);
    });
    let at = 0;
    for (let blank = text.indexOf("\n\n"); blank !== -1; blank = text.indexOf("\n\n", at)) {
      takeFrame(receiver, text.slice(at, blank + 1), onStamp);
      at = blank + 2;
    }
    text = text.slice(at);
  };
}

function takeFrame(receiver: Receiver, frame: string, onStamp: (stamp: number) => void): void {
  const id = /^id: (\d+)$/m.exec(frame)?.[1];
  if (/^event: connected$/m.test(frame)) {
    receiver.lastId = Number(id);
    return;
  }
  if (id === undefined) {
    return;
  }
  if (Number(id) !== receiver.lastId + 1) {
    receiver.faults++;
  }
  receiver.lastId = Number(id);
  receiver.events++;
  const stamp = /"at":([\d.]+)/.exec(frame)?.[1];
  if (stamp !== undefined) {
    onStamp(Number(stamp));
  }
}
