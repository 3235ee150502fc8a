import { createService } from "../../../src/service/router.ts";
import { outcomeOf } from "../hub/outcome.ts";
import { MemoryHost, type MemoryHostOptions } from "./memory-host.ts";

const ORIGIN = "https://sse.example.com";

/** A request as a test describes it. */
export interface Sent {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
}

/** The service on a host in memory. */
export class MemoryService {
  readonly host: MemoryHost;
  readonly #service: ReturnType<typeof createService>;

  constructor(options: MemoryHostOptions = {}) {
    this.host = new MemoryHost(options);
    this.#service = createService(this.host);
  }

  /** Sends a request to the service. */
  send(path: string, { method = "GET", token, headers = {}, body }: Sent = {}): Promise<Response> {
    const all = new Headers(headers);
    if (token !== undefined) {
      all.set("Authorization", `Bearer ${token}`);
    }
    if (body !== undefined && !all.has("Content-Type")) {
      all.set("Content-Type", "application/json");
    }
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const request = new Request(`${ORIGIN}${path}`, { method, body: body === undefined ? null : text });
    // `Request` in Node drops headers that a page must not set. A server receives them.
    Object.defineProperty(request, "headers", { value: all });
    return this.#service.fetch(request);
  }

  /** Publishes one event for each type, and throws if that fails. */
  async publish(channel: string, ...types: readonly string[]): Promise<void> {
    const body = types.map((type) => ({ type, data: {} }));
    const response = await this.send(`/api/publish?channel=${channel}`, {
      method: "POST",
      token: "publish",
      body,
    });
    if (response.status !== 200) {
      throw new Error(`publish: ${response.status} ${await response.text()}`);
    }
  }
}

/** Moves the clock of the host until a request is answered. */
export async function finished<Value>({ host }: MemoryService, answer: Promise<Value>): Promise<Value> {
  const outcome = outcomeOf(answer);
  while (outcome.state === "waiting") {
    await host.clock.advance(10);
  }
  return answer;
}

/** The status of a response, and the code of its problem. */
export async function refusalOf(answer: Response | Promise<Response>): Promise<[number, string]> {
  const response = await answer;
  const { code, status } = (await response.json()) as { code: string; status: number };
  if (status !== response.status) {
    throw new Error(`The problem says ${status}, the response ${response.status}`);
  }
  return [response.status, code];
}

/** Reads the first chunk of a stream as text, and leaves the stream. */
export async function openingOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const piece = await reader?.read();
  await reader?.cancel();
  return new TextDecoder().decode(piece?.value as Uint8Array | undefined);
}
