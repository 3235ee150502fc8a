import { SSEClient, type SSEProblem } from "/sse-client.js";

import { explain, isLocked, readHistory, readRange } from "./service.ts";
import type { View } from "./view.ts";

/** The events that the start `recent` loads. */
const RECENT_EVENTS = 100;

/** An event as this page shows it. */
export interface ShownEvent {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  /** When the event was stored or arrived, in ms since the epoch. Undefined if the stream replayed it. */
  readonly time: number | undefined;
}

export interface Gap {
  readonly oldest_id: string | null;
  readonly reason: string;
}

export type LinkState = "connecting" | "connected" | "reconnecting" | "disconnected";

export interface FeedPort {
  onEvents(events: readonly ShownEvent[]): void;
  onConnected(clientId: string): void;
  /** Called with the id of the last stored event. */
  onHead(id: number): void;
  onGap(gap: Gap): void;
  /** The service requires a token, or refuses this one. */
  onLocked(refusal: string): void;
  onState(state: LinkState, problem: string | undefined): void;
}

/** Loads the events of one view: the recent ones from the history if the view starts with them, and then the stream. */
export class Feed {
  readonly #view: View;
  readonly #token: string | undefined;
  readonly #port: FeedPort;
  #client: SSEClient | undefined;
  #isWanted = false;
  #headAtConnect = 0;

  constructor(view: View, token: string | undefined, port: FeedPort) {
    this.#view = view;
    this.#token = token;
    this.#port = port;
  }

  /** Opens the stream. A stream that was closed resumes after its last event. */
  open(): void {
    this.#isWanted = true;
    if (this.#client === undefined) {
      void this.#begin();
    } else {
      this.#client.connect();
    }
  }

  close(): void {
    this.#isWanted = false;
    this.#client?.disconnect();
    this.#port.onState("disconnected", undefined);
  }

  async #begin(): Promise<void> {
    this.#port.onState("connecting", undefined);
    let lastEventId: string | undefined;
    try {
      const { oldest, latest } = await readRange(this.#view.channel, this.#token);
      this.#headAtConnect = latest;
      if (this.#isWanted) {
        this.#port.onHead(latest);
      }
      if (this.#view.start === "recent" && this.#isWanted) {
        lastEventId = await this.#showRecent(oldest);
      }
    } catch (error) {
      if (isLocked(error)) {
        this.#lock(explain(error));
      }
      // The client handles any other failure: it retries, or reports the refusal.
    }
    if (this.#isWanted && this.#client === undefined) {
      this.#connect(lastEventId);
    }
  }

  #lock(refusal: string): void {
    if (this.#isWanted) {
      this.#isWanted = false;
      this.#port.onState("disconnected", undefined);
      this.#port.onLocked(refusal);
    }
  }

  /** @returns the id after which the stream continues */
  async #showRecent(oldest: number | null): Promise<string> {
    const head = this.#headAtConnect;
    const after = Math.max((oldest ?? head + 1) - 1, head - RECENT_EVENTS, 0);
    const { events, next } = await readHistory(this.#view, this.#token, after, RECENT_EVENTS);
    if (this.#isWanted) {
      this.#port.onEvents(
        events.map(({ id, type, data, text, published_at }) => ({
          id,
          type,
          data: text ?? data,
          time: Date.parse(published_at),
        })),
      );
    }
    return next;
  }

  #connect(lastEventId: string | undefined): void {
    const { channel, types, fields, start } = this.#view;
    const client = new SSEClient({
      // The client handles a 503 too, but the browser would log each one as an error of this page.
      url: "/api/events?on_busy=stream",
      token: this.#token,
      channel,
      types,
      where: Object.fromEntries(Object.entries(fields).filter(([, values]) => values.length > 0)),
      ...(start !== "recent" && start !== "live" && { since: start }),
      lastEventId,
    });
    this.#client = client;
    client.on("*", (data, { id, type }) => {
      const isReplay = Number(id) <= this.#headAtConnect;
      this.#port.onEvents([{ id, type, data, time: isReplay ? undefined : Date.now() }]);
    });
    client.on("connected", ({ client_id }) => this.#port.onConnected(client_id));
    client.on("gap", (gap) => this.#port.onGap(gap));
    client.onStateChange((state, _, problem) => {
      if (state === "disconnected" && (problem?.status === 401 || problem?.status === 403)) {
        this.#lock(problem.message);
      } else {
        this.#port.onState(state, problem && describe(problem));
      }
    });
    client.connect();
  }
}

function describe(problem: SSEProblem): string {
  return problem.code === "kicked" ? "An operator ended this stream." : problem.message;
}
