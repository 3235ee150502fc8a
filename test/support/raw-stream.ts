import { connect, type Socket } from "node:net";

import { createParser, type EventSourceMessage } from "eventsource-parser";

import { parseHead, bodyDecoder, type Head } from "./http-message.ts";
import { createBell } from "./until.ts";

/** A stream as every end-to-end test reads it: the bytes as they arrived, and the events of an independent parser. */
export interface RawStream extends Head {
  /** The decoded body so far, byte for byte. */
  readonly text: string;
  readonly events: readonly ReceivedEvent[];
  readonly comments: readonly ReceivedComment[];
  /** The `Last-Event-ID` that a browser would send. */
  readonly lastEventId: string;
  /** The body ended as HTTP says it ends; false if the connection was cut. */
  readonly complete: boolean;
  /** Nothing more can come. */
  readonly closed: boolean;
  readonly localPort: number;
  /** When the last byte of the body came, on the clock of `performance.now()`. */
  readonly lastByteAt: number;
  /** The next event not yet handed out; those of other types are passed over when `type` is given. */
  nextEvent(options?: { type?: string; timeoutMs?: number }): Promise<ReceivedEvent>;
  /** Waits until `count` events with one of these types have arrived, and returns them. */
  collect(count: number, options?: { type?: string; timeoutMs?: number }): Promise<ReceivedEvent[]>;
  nextComment(timeoutMs?: number): Promise<ReceivedComment>;
  untilClosed(timeoutMs?: number): Promise<void>;
  /** Stops taking bytes off the socket. */
  pause(): void;
  resume(): void;
  /** Says that it will send nothing more, and reads on. */
  halfClose(): void;
  /** Leaves politely: FIN. What still comes is answered with RST, as when a browser closes a tab. */
  end(): void;
  /** Leaves rudely: RST. */
  reset(): void;
}

export interface ReceivedEvent {
  readonly type: string;
  readonly id: string | undefined;
  readonly data: string;
  readonly at: number;
}

export interface ReceivedComment {
  readonly text: string;
  readonly at: number;
}

export interface RawRequest {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  /** A body in chunks, of unknown length. The caller sets `Transfer-Encoding`. */
  chunks?: readonly string[];
  /** The whole request byte for byte, instead of the options above, for requests that no client would send. */
  bytes?: string | Uint8Array;
  /** Any of 127.0.0.0/8, so that tens of thousands of connections find a free port. */
  localAddress?: string;
  timeoutMs?: number;
}

/** Sends one request over a socket of its own and returns as soon as the head of the answer is there. */
export async function openRaw(url: string | URL, request: RawRequest = {}): Promise<RawStream> {
  const { hostname, port, pathname, search } = new URL(url);
  const { method = "GET", localAddress, timeoutMs = 10_000 } = request;
  const socket = connect({ host: hostname, port: Number(port), ...(localAddress ? { localAddress } : {}) });
  socket.setNoDelay(true);
  const stream = receive(socket, method);
  socket.write(request.bytes ?? requestHead(method, `${pathname}${search}`, `${hostname}:${port}`, request));
  if (request.body !== undefined) {
    socket.write(request.body);
  }
  for (const chunk of request.chunks ?? []) {
    socket.write(`${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
  }
  if (request.chunks !== undefined) {
    socket.write("0\r\n\r\n");
  }
  await stream.untilHead(`the head of ${method} ${url}`, timeoutMs);
  if (!stream.headArrived()) {
    throw new Error(`${method} ${url}: the connection ended before an answer (${stream.failure()})`);
  }
  return stream;
}

/** Opens an event stream, and insists on 200. */
export async function openStream(url: string | URL, request: RawRequest = {}): Promise<RawStream> {
  const stream = await openRaw(url, {
    ...request,
    headers: { Accept: "text/event-stream", ...request.headers },
  });
  if (stream.status !== 200) {
    await stream.untilClosed(1_000).catch(() => undefined);
    stream.reset();
    throw new Error(`GET ${url}: ${stream.status} ${stream.text}`);
  }
  return stream;
}

function requestHead(method: string, target: string, host: string, request: RawRequest): string {
  const headers: Record<string, string> = { Host: host, ...request.headers };
  if (request.body !== undefined) {
    headers["Content-Length"] ??= String(Buffer.byteLength(request.body));
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `${[`${method} ${target} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}

function receive(socket: Socket, method: string) {
  const bell = createBell();
  const events: ReceivedEvent[] = [];
  const comments: ReceivedComment[] = [];
  const handedOut = { events: 0, comments: 0 };
  const texts: string[] = [];
  const utf8 = new TextDecoder();
  let head: Head | undefined;
  let early: Buffer = Buffer.alloc(0);
  let complete = false;
  let closed = false;
  let failure: Error | undefined;
  let lastEventId = "";
  let lastByteAt = 0;
  let localPort = 0;
  let decode: ((bytes: Buffer) => void) | undefined;

  const parser = createParser({
    onId: (id) => {
      lastEventId = id;
    },
    onEvent: ({ event = "message", id, data }: EventSourceMessage) =>
      events.push({ type: event, id, data, at: performance.now() }),
    onComment: (text) => comments.push({ text, at: performance.now() }),
  });
  const onBody = (bytes: Uint8Array): void => {
    lastByteAt = performance.now();
    const text = utf8.decode(bytes, { stream: true });
    texts.push(text);
    parser.feed(text);
  };
  const onEnd = (): void => {
    complete = true;
  };

  const take = (bytes: Buffer): void => {
    if (decode !== undefined) {
      decode(bytes);
      return;
    }
    early = Buffer.concat([early, bytes]);
    const parsed = parseHead(early);
    if (parsed !== undefined) {
      head = parsed.head;
      decode = bodyDecoder(head, method, onBody, onEnd);
      decode(parsed.rest);
    }
  };

  socket.on("connect", () => {
    localPort = socket.localPort ?? 0;
  });
  socket.on("data", (bytes: Buffer) => {
    take(bytes);
    bell.ring();
  });
  socket.on("error", (error) => {
    failure = error;
  });
  socket.on("close", () => {
    closed = true;
    bell.ring();
  });

  const arrived = (): Head => {
    if (head === undefined) {
      throw new Error("The head of the answer is not there yet");
    }
    return head;
  };
  const tail = (): string => JSON.stringify(texts.join("").slice(-300));

  return {
    headArrived: () => head !== undefined,
    untilHead: (what: string, timeoutMs: number) =>
      bell.until(() => head !== undefined || closed, { what, timeoutMs }),
    failure: () => failure?.message ?? "end of stream",
    get status() {
      return arrived().status;
    },
    get statusText() {
      return arrived().statusText;
    },
    get headers() {
      return arrived().headers;
    },
    get text() {
      return texts.join("");
    },
    events,
    comments,
    get lastEventId() {
      return lastEventId;
    },
    get complete() {
      return complete;
    },
    get closed() {
      return closed || complete;
    },
    get localPort() {
      return localPort;
    },
    get lastByteAt() {
      return lastByteAt;
    },
    nextEvent: ({ type, timeoutMs = 5_000 }: { type?: string; timeoutMs?: number } = {}) =>
      bell.until(
        () => {
          while (handedOut.events < events.length) {
            const event = events[handedOut.events++];
            if (event !== undefined && (type === undefined || event.type === type)) {
              return event;
            }
          }
          return undefined;
        },
        { what: () => `an event ${type ?? "of any type"}; the stream ends in ${tail()}`, timeoutMs },
      ),
    collect: (count: number, { type, timeoutMs = 10_000 }: { type?: string; timeoutMs?: number } = {}) => {
      const matching = (): ReceivedEvent[] =>
        events.filter((event) => (type === undefined ? !isServiceFrame(event.type) : event.type === type));
      return bell.until(() => (matching().length >= count ? matching() : undefined), {
        what: () => `${count} events, ${matching().length} came; the stream ends in ${tail()}`,
        timeoutMs,
      });
    },
    nextComment: (timeoutMs = 5_000) =>
      bell.until(() => comments[handedOut.comments] && comments[handedOut.comments++], {
        what: () => `a comment; the stream ends in ${tail()}`,
        timeoutMs,
      }),
    untilClosed: async (timeoutMs = 5_000) => {
      await bell.until(() => closed || complete, {
        what: () => `the end of the stream; it is at ${tail()}`,
        timeoutMs,
      });
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    halfClose: () => void socket.end(),
    end: () => void socket.destroy(),
    // A connection that is being shut down cannot be reset: the socket would stay open for good.
    reset: () => void (socket.readyState === "open" ? socket.resetAndDestroy() : socket.destroy()),
  };
}

/** The types that no publisher may use. */
function isServiceFrame(type: string): boolean {
  return ["connected", "gap", "error", "close", "heartbeat", "open", "caught_up"].includes(type);
}
