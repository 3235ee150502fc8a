import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request as requestHttps } from "node:https";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";

import { createParser } from "eventsource-parser";

import { createBell } from "./until.ts";

/** The name that the proxies and the service go by in deploy/. */
export const HOST = "sse.example.com";

export const PROTOCOLS = ["HTTP/1.1", "HTTP/2"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Where a request goes to. */
export interface Door {
  readonly protocol: Protocol;
  readonly port: number;
}

export interface TlsRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The address that the request comes from: any of 127.0.0.0/8. */
  readonly localAddress?: string;
}

export interface TlsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A stream as a client behind a proxy sees it. */
export interface TlsStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The body so far. */
  readonly text: string;
  readonly comments: number;
  readonly isClosed: boolean;
  /** Waits for the next event. */
  nextEvent(timeoutMs: number): Promise<{ type: string; id: string; data: string }>;
  /** Leaves as a browser does that closes a tab: over HTTP/2 the connection stays open for the other streams. */
  leave(): void;
  /** Ends the connection. */
  end(): void;
}

interface Exchange {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Readable;
  leave(): void;
  end(): void;
}

/** Sends a request and reads the whole answer. */
export async function send(door: Door, path: string, request: TlsRequest = {}): Promise<TlsAnswer> {
  const { status, headers, body, end } = await exchange(door, path, request);
  try {
    return { status, headers, text: await text(body) };
  } finally {
    end();
  }
}

/** Opens a stream. Returns as soon as the head of the answer is there. */
export async function openTlsStream(door: Door, path: string, request: TlsRequest = {}): Promise<TlsStream> {
  const { status, headers, body, leave, end } = await exchange(door, path, {
    ...request,
    headers: { Accept: "text/event-stream", ...request.headers },
  });
  const bell = createBell();
  const events: { type: string; id: string; data: string }[] = [];
  let received = "";
  let comments = 0;
  let handedOut = 0;
  let isClosed = false;
  const parser = createParser({
    onEvent: ({ event = "message", id = "", data }) => void events.push({ type: event, id, data }),
    onComment: () => void comments++,
  });
  body.setEncoding("utf8").on("data", (part: string) => {
    received += part;
    parser.feed(part);
    bell.ring();
  });
  body.on("error", () => {});
  body.on("close", () => {
    isClosed = true;
    bell.ring();
  });
  return {
    status,
    headers,
    get text() {
      return received;
    },
    get comments() {
      return comments;
    },
    get isClosed() {
      return isClosed;
    },
    nextEvent: (timeoutMs) =>
      bell.until(() => events[handedOut] && events[handedOut++], {
        what: () => `an event; the ${isClosed ? "closed" : "open"} stream is ${JSON.stringify(received)}`,
        timeoutMs,
      }),
    leave,
    end,
  };
}

/** Sends a piece of a request, and waits for the end of the connection. Resolves to how long that took. */
export async function endOfIncomplete(port: number): Promise<number> {
  const socket = connectTls({ ...UNVERIFIED, host: "127.0.0.1", port });
  socket.on("error", () => {}).resume();
  await once(socket, "secureConnect");
  const start = performance.now();
  socket.write("GET /api/events HTTP/1.1\r\nHost: ");
  await once(socket, "close");
  return performance.now() - start;
}

function exchange({ protocol, port }: Door, path: string, request: TlsRequest): Promise<Exchange> {
  return protocol === "HTTP/2" ? exchangeHttp2(port, path, request) : exchangeHttp1(port, path, request);
}

/** The certificates of the tests are self-signed. */
const UNVERIFIED = { servername: HOST, rejectUnauthorized: false };

async function exchangeHttp1(port: number, path: string, sent: TlsRequest): Promise<Exchange> {
  const { method = "GET", body, localAddress } = sent;
  const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
  const outgoing = requestHttps({
    ...UNVERIFIED,
    host: "127.0.0.1",
    port,
    path,
    method,
    agent: false,
    headers: { Host: HOST, ...length, ...sent.headers },
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  outgoing.end(body);
  const [answer] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
  outgoing.on("error", () => {});
  const end = (): void => void outgoing.destroy();
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: answer, leave: end, end };
}

async function exchangeHttp2(port: number, path: string, sent: TlsRequest): Promise<Exchange> {
  const { method = "GET", body, localAddress } = sent;
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    ...UNVERIFIED,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  // An error of the session reaches the request, too.
  session.on("error", () => {});
  const stream = session.request({
    ":method": method,
    ":path": path,
    ":authority": HOST,
    ...sent.headers,
  });
  stream.end(body);
  const [headers] = (await once(stream, "response")) as [import("node:http2").IncomingHttpHeaders];
  return {
    status: Number(headers[":status"]),
    headers,
    body: stream,
    leave: () => void stream.close(8),
    end: () => void session.destroy(),
  };
}
