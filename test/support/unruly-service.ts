import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { buildClient } from "../../src/local/build-client.ts";
import { encodeFrame } from "../../src/sse/encode.ts";

/** The treatment of one request for a stream. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** A service that answers the n-th request for a stream as a test says, and all further ones like the last of these. */
export interface UnrulyService {
  readonly url: string;
  /** The headers of every request for a stream so far. */
  readonly requests: readonly IncomingMessage["headers"][];
  stop(): Promise<void>;
}

const project = join(import.meta.dirname, "../..");

export async function startUnruly(...answers: readonly Answer[]): Promise<UnrulyService> {
  const requests: IncomingMessage["headers"][] = [];
  const folder = await mkdtemp(join(tmpdir(), "edge-sse-client-"));
  // Built here: a run of one file, on a clean checkout, has nothing in public/ yet.
  await buildClient(project, folder);
  const script = await readFile(join(folder, "sse-client.js"));
  await rm(folder, { recursive: true });
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/api/events")) {
      answers[Math.min(requests.push(request.headers), answers.length) - 1]?.(response, request);
    } else if (request.url === "/sse-client.js") {
      response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" }).end(script);
    } else {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end("<!doctype html><p>Log in");
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A stream that is as it should be so far. */
export function beginStream(response: ServerResponse, heartbeatSeconds = 30): void {
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  const connected = { log: "unruly", heartbeat_interval_seconds: heartbeatSeconds };
  response.write(encodeFrame({ event: "connected", data: JSON.stringify(connected) }));
}

export function refuse(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { "Content-Type": "application/problem+json" })
    .end(JSON.stringify({ status, code, detail: "Refused by a test." }));
}
