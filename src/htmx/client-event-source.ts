import { SSEClient, type SSEProblem } from "/sse-client.js";

import { toContent } from "./content.ts";

/** An `EventSource` as the extension of HTMX 2 uses one. It outlives every status that passes, and keeps its last id. */
export class ClientEventSource extends EventTarget {
  readonly url: string;
  readyState: number = EventSource.CONNECTING;
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  /** Called with each published event, whoever listens. */
  onPublished: ((type: string, content: string) => void) | null = null;
  readonly #client: SSEClient;
  readonly #types = new Set<string>();

  constructor(url: string) {
    super();
    this.url = new URL(url, document.baseURI).href;
    this.#client = new SSEClient({ url: this.url });
    this.#client.onStateChange((state, _, problem) => this.#follow(state, problem));
    this.#client.on("*", (data, { type }) => this.onPublished?.(type, toContent(data)));
    this.#client.connect();
  }

  override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null): void {
    if (!this.#types.has(type)) {
      this.#types.add(type);
      this.#client.on(type, (data, { id }) => {
        this.dispatchEvent(new MessageEvent(type, { data: toContent(data), lastEventId: id }));
      });
    }
    super.addEventListener(type, listener);
  }

  close(): void {
    this.readyState = EventSource.CLOSED;
    this.#client.disconnect();
  }

  #follow(state: string, problem: SSEProblem | undefined): void {
    if (state === "connected") {
      this.readyState = EventSource.OPEN;
      this.onopen?.(new Event("open"));
    } else if (problem !== undefined) {
      // Not CLOSED while the extension looks, or it would start over by itself: what is final stays so.
      this.readyState = EventSource.CONNECTING;
      this.onerror?.(new ErrorEvent("error", { error: problem, message: problem.message }));
    }
    if (state === "disconnected") {
      this.readyState = EventSource.CLOSED;
    }
  }
}
