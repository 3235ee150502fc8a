import { SSEClient, type SSEProblem } from "/sse-client.js";

import { PublishedEvent } from "./published-event.ts";

/**
 * The part of `EventSource` that the SSE extension of HTMX 2 uses, on top of `SSEClient`. It reconnects after every
 * failure that can pass, and keeps its last event id.
 */
export class ClientEventSource extends EventTarget {
  readonly url: string;
  readyState: number = EventSource.CONNECTING;
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  /** Called with every published event, even if no listener wants its type. */
  onPublished: ((type: string, data: unknown) => void) | null = null;
  readonly #client: SSEClient;
  readonly #removals = new Map<string, Map<EventListenerOrEventListenerObject, () => void>>();

  /** @param lastEventId resume after this id; without one the stream starts with the next event */
  constructor(url: string, lastEventId?: string) {
    super();
    this.url = new URL(url, document.baseURI).href;
    this.#client = new SSEClient({ url: this.url, lastEventId });
    this.#client.onStateChange((state, _, problem) => this.#follow(state, problem));
    this.#client.on("*", (data, { type }) => this.onPublished?.(type, data));
    this.#client.connect();
  }

  /** Gives each listener an event of its own, because `PublishedEvent.show` changes it for one element. */
  override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null): void {
    const removals = this.#removals.get(type) ?? new Map<EventListenerOrEventListenerObject, () => void>();
    this.#removals.set(type, removals);
    if (listener === null || removals.has(listener)) {
      return;
    }
    const call = typeof listener === "function" ? listener : listener.handleEvent.bind(listener);
    const remove = this.#client.on(type, (data, { id }) => call(new PublishedEvent(type, data, id)));
    removals.set(listener, remove);
  }

  override removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null): void {
    const removals = this.#removals.get(type);
    if (listener !== null && removals !== undefined) {
      removals.get(listener)?.();
      removals.delete(listener);
    }
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
      // The extension reconnects by itself if it finds a closed source here, even after a final problem.
      this.readyState = EventSource.CONNECTING;
      this.onerror?.(new ErrorEvent("error", { error: problem, message: problem.message }));
    }
    if (state === "disconnected") {
      this.readyState = EventSource.CLOSED;
    }
  }
}
