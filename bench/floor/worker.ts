/**
 * The bare floor shows what the runtime itself costs. It has the topology of the service, a Worker in front of a
 * Durable Object, and sends the same bytes, but has no features: no filters, no history, no limits, no checks.
 */
interface Env {
  readonly FAN_OUT: DurableObjectNamespace;
  readonly ROWS: DurableObjectNamespace;
}

interface Published {
  readonly type: string;
  readonly data: unknown;
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    const objects = new URL(request.url).pathname === "/rows" ? env.ROWS : env.FAN_OUT;
    return objects.get(objects.idFromName("floor")).fetch(request);
  },
} satisfies ExportedHandler<Env>;

const encoder = new TextEncoder();

interface Client {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  cursor: number;
  idle: boolean;
}

interface Batch {
  readonly after: number;
  readonly bytes: Uint8Array;
}

/** Batches that stay in memory: many times more than a client of the benchmark can fall behind. */
const KEPT_BATCHES = 1_000;

/** Sweeps over cursors, as in the service, but in memory. */
export class FanOut implements DurableObject {
  readonly #clients = new Set<Client>();
  #batches: Batch[] = [];
  #head = 0;
  #sweeping = false;

  fetch(request: Request): Response | Promise<Response> {
    return request.method === "POST" ? this.#publish(request) : this.#open();
  }

  #open(): Response {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const client: Client = { writer: writable.getWriter(), cursor: this.#head, idle: true };
    this.#clients.add(client);
    client.writer.closed.catch(() => this.#clients.delete(client));
    const connected = `retry: 5000\n\nevent: connected\nid: ${this.#head}\ndata: {}\n\n`;
    client.writer.write(encoder.encode(connected)).catch(() => {});
    return new Response(readable, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }

  async #publish(request: Request): Promise<Response> {
    const body = await request.json<Published | Published[]>();
    const after = this.#head;
    let text = "";
    for (const event of Array.isArray(body) ? body : [body]) {
      text += `event: ${event.type}\nid: ${++this.#head}\ndata: ${JSON.stringify(event.data)}\n\n`;
    }
    this.#batches.push({ after, bytes: encoder.encode(text) });
    if (this.#batches.length > 2 * KEPT_BATCHES) {
      this.#batches = this.#batches.slice(-KEPT_BATCHES);
    }
    if (!this.#sweeping) {
      void this.#run();
    }
    return new Response("{}");
  }

  async #run(): Promise<void> {
    this.#sweeping = true;
    for (;;) {
      const taken = this.#sweep();
      if (taken === undefined) {
        break;
      }
      await taken;
    }
    this.#sweeping = false;
  }

  /** Writes once to each client that is behind and idle. Resolves when all writes were accepted. */
  #sweep(): Promise<void> | undefined {
    const pages = new Map<number, Uint8Array>();
    let untaken = 0;
    const allTaken = Promise.withResolvers<void>();
    for (const client of this.#clients) {
      if (!client.idle || client.cursor >= this.#head) {
        continue;
      }
      let page = pages.get(client.cursor);
      if (page === undefined) {
        page = this.#page(client.cursor);
        pages.set(client.cursor, page);
      }
      client.cursor = this.#head;
      client.idle = false;
      untaken++;
      const onTaken = (): void => {
        client.idle = true;
        if (--untaken === 0) {
          allTaken.resolve();
        }
      };
      client.writer.write(page).then(onTaken, onTaken);
    }
    return untaken === 0 ? undefined : allTaken.promise;
  }

  /** Everything after a cursor. Cursors are always between batches. */
  #page(cursor: number): Uint8Array {
    const parts = this.#batches.slice(this.#batches.findIndex((batch) => batch.after === cursor));
    const [first] = parts;
    if (first !== undefined && parts.length === 1) {
      return first.bytes;
    }
    const page = new Uint8Array(parts.reduce((size, { bytes }) => size + bytes.length, 0));
    let at = 0;
    for (const { bytes } of parts) {
      page.set(bytes, at);
      at += bytes.length;
    }
    return page;
  }
}

/** Inserts one row for each call. The output gate holds the answer back until the row is durable. */
export class Rows implements DurableObject {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState) {
    this.#sql = state.storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT, data TEXT)",
    );
  }

  async fetch(request: Request): Promise<Response> {
    const { type, data } = await request.json<Published>();
    this.#sql.exec("INSERT INTO events (type, data) VALUES (?, ?)", type, JSON.stringify(data));
    return new Response("{}");
  }
}
