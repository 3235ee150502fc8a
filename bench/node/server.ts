/**
 * A server as one writes it by hand with Node alone: each event is written to every client at once. It has no filters, no
 * history, no limits and no storage.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface Published {
  readonly type: string;
  readonly data: unknown;
}

const clients = new Set<ServerResponse>();
let head = 0;

const server = createServer((request, response) => {
  if (request.method === "POST") {
    void publish(request, response);
  } else {
    open(response);
  }
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(address.port);
  }
});

function open(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  response.write(`retry: 5000\n\nevent: connected\nid: ${head}\ndata: {}\n\n`);
  clients.add(response);
  response.on("close", () => clients.delete(response));
}

async function publish(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Published | Published[];
  for (const event of Array.isArray(body) ? body : [body]) {
    const frame = Buffer.from(`event: ${event.type}\nid: ${++head}\ndata: ${JSON.stringify(event.data)}\n\n`);
    for (const client of clients) {
      client.write(frame);
    }
  }
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 2 });
  response.end("{}");
}
