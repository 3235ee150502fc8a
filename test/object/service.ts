import { env, exports } from "cloudflare:workers";
import { createParser } from "eventsource-parser";

import { hubPort } from "../../src/edge/host.ts";
import type { HubRpc } from "../../src/edge/objects.ts";
import type { HubPort } from "../../src/service/host.ts";

const ORIGIN = "https://edge-sse.test";

let channels = 0;

/** A channel that no other test uses: alarms and streams of one test are not seen by another. */
export function newChannel(): string {
  channels++;
  return `channel-${channels}-${crypto.randomUUID().slice(0, 8)}`;
}

/** The object of a channel. */
export function hubOf(channel: string): DurableObjectStub<HubRpc> {
  return env.HUBS.get(env.HUBS.idFromName(channel));
}

/** The hub of a channel as the service reaches it. */
export function hubPortOf(channel: string): HubPort {
  return hubPort(hubOf(channel));
}

/** Sends a request to the Worker. */
export function send(path: string, init: RequestInit = {}): Promise<Response> {
  return exports.default.fetch(`${ORIGIN}${path}`, init);
}

/** The answer to a publish. */
export interface Published {
  readonly events: readonly { id: string; type: string; duplicate: boolean; conflict?: boolean }[];
}

export function publishRequest(body: unknown, token = "publish"): RequestInit {
  return {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
}

/** Publishes through the Worker, and insists on success. */
export async function publish(channel: string, ...events: readonly object[]): Promise<Published> {
  const response = await send(`/api/publish?channel=${channel}`, publishRequest(events));
  if (response.status !== 200) {
    throw new Error(`publish: ${response.status} ${await response.text()}`);
  }
  return response.json<Published>();
}

export function tick(n = 0): object {
  return { type: "tick", data: { n } };
}

export interface SeenEvent {
  readonly type: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** One open stream, read on demand. Everything but the events of publishers is kept beside. */
export class OpenStream {
  readonly events: SeenEvent[] = [];
  readonly comments: string[] = [];
  lastEventId = "";
  isEnded = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    onEvent: ({ event = "message", id, data }) => this.events.push({ type: event, id, data }),
    onComment: (comment) => this.comments.push(comment),
    onId: (id) => {
      this.lastEventId = id;
    },
  });

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** Ids of the events of publishers. */
  get ids(): number[] {
    return this.events.filter(({ type }) => type === "tick").map(({ id }) => Number(id));
  }

  /** Reads until something is true; the end of the stream before that is an error. */
  async until(isEnough: (stream: this) => boolean): Promise<this> {
    while (!isEnough(this)) {
      const { done, value } = await this.#reader.read();
      if (done) {
        this.isEnded = true;
        throw new Error(`the stream ended after ${JSON.stringify(this.events)}`);
      }
      this.#parser.feed(this.#decoder.decode(value, { stream: true }));
    }
    return this;
  }

  /** Reads to the end. */
  async untilEnd(): Promise<this> {
    await this.until(() => false).catch(() => undefined);
    return this;
  }

  /** The data of the first event of a type. */
  dataOf(type: string): Record<string, unknown> {
    const found = this.events.find((event) => event.type === type);
    return JSON.parse(found?.data ?? "null") as Record<string, unknown>;
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

/**
 * Opens a stream through the Worker, insists on 200, and reads its `connected`.
 *
 * @param continent where the client is, for the tests of relays
 */
export async function openStream(channel: string, search = "", continent = ""): Promise<OpenStream> {
  const headers = { "Edge-Sse-Continent": continent };
  const response = await send(`/api/events?channel=${channel}${search}`, { headers });
  if (response.status !== 200 || response.body === null) {
    throw new Error(`stream: ${response.status} ${await response.text()}`);
  }
  return new OpenStream(response.body).until(({ events }) => events.length > 0);
}
