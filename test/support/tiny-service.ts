import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { encodeFrame } from "../../src/sse/encode.ts";

/** A service of a page's length, with real sockets: it stores, replays after the last id, and can be killed. */
export class TinyService {
  /** The `Last-Event-ID` of each connect, or null. */
  readonly connects: (string | null)[] = [];
  heartbeatSeconds = 30;
  readonly #events: { readonly type: string; readonly data: string; readonly key?: string }[] = [];
  readonly #streams = new Set<ServerResponse>();
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Starts, on the port of the last time if there was one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends every connection in the middle of whatever it is in, and listens no more. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const { socket } of this.#streams) {
      socket?.resetAndDestroy();
    }
    this.#streams.clear();
    if (server !== undefined) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  publish(type: string, data: unknown, key?: string): { id: string; type: string; duplicate: boolean } {
    const known = key === undefined ? -1 : this.#events.findIndex((event) => event.key === key);
    if (known >= 0) {
      return { id: String(known + 1), type, duplicate: true };
    }
    const id = this.#events.push({ type, data: JSON.stringify(data), ...(key !== undefined && { key }) });
    for (const stream of this.#streams) {
      stream.write(this.#frame(id));
    }
    return { id: String(id), type, duplicate: false };
  }

  #frame(id: number): string {
    const event = this.#events[id - 1];
    return event === undefined ? "" : encodeFrame({ event: event.type, id, data: event.data });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "POST") {
      void this.#store(request, response);
      return;
    }
    const asked = request.headers["last-event-id"];
    this.connects.push(typeof asked === "string" ? asked : null);
    const cursor = typeof asked === "string" ? Number(asked) : this.#events.length;
    const connected = {
      client_id: crypto.randomUUID(),
      channel: "default",
      last_event_id: String(cursor),
      log: "tiny",
      heartbeat_interval_seconds: this.heartbeatSeconds,
    };
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    response.write(
      encodeFrame({ retry: 5_000, event: "connected", id: cursor, data: JSON.stringify(connected) }),
    );
    for (let id = cursor + 1; id <= this.#events.length; id++) {
      response.write(this.#frame(id));
    }
    this.#streams.add(response);
    response.once("close", () => this.#streams.delete(response));
  }

  async #store(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) {
      body += String(chunk);
    }
    const events = JSON.parse(body) as { type: string; data: unknown; key: string }[];
    const receipts = events.map(({ type, data, key }) => this.publish(type, data, key));
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ events: receipts }));
  }
}
