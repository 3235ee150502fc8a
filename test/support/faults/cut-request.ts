import { connect } from "node:net";

import { publishToken } from "../service.ts";

export interface CutRequest {
  /** The part of the body that is sent. */
  readonly body: string;
  /** The length in the header, which is more than is sent. Null: sent in chunks, without the last one. */
  readonly contentLength: number | null;
  readonly contentType: string;
  /** How the sender leaves: by FIN, and then it reads; by RST; or by closing both ways. */
  readonly how: "fin" | "rst" | "close";
  readonly channel?: string;
  /** Waits before it leaves, so that the sent bytes arrive. */
  readonly afterMs?: number;
}

/** Publishes with a body that ends too early. Returns what came as an answer, once the connection is over. */
export function sendCut(url: string, request: CutRequest): Promise<string> {
  const { hostname, port } = new URL(url);
  const { body, contentLength, contentType, how, channel = "default", afterMs = 20 } = request;
  const socket = connect({ host: hostname, port: Number(port) });
  const length = contentLength === null ? "Transfer-Encoding: chunked" : `Content-Length: ${contentLength}`;
  const head = [
    `POST /api/publish?channel=${channel} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    `Authorization: Bearer ${publishToken}`,
    `Content-Type: ${contentType}`,
    length,
  ].join("\r\n");
  const size = Buffer.byteLength(body).toString(16);
  const leave = {
    fin: () => socket.end(),
    rst: () => socket.resetAndDestroy(),
    close: () => socket.destroy(),
  };
  return new Promise((resolve) => {
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.write(`${head}\r\n\r\n${contentLength === null ? `${size}\r\n${body}\r\n` : body}`, () => {
      setTimeout(leave[how], afterMs);
    });
  });
}
