import type { Filter } from "../filter.ts";

/** Where a client wants its stream to start. */
export interface StartRequest {
  /** The last id that the client received, as any text; null if it brings none. An unknown id leads to a gap. */
  readonly lastEventId: string | null;
  /** The log that the id belongs to; null if the client does not know it. */
  readonly logName: string | null;
  /**
   * Where to start without an id. A number is a time in ms since the epoch, `earliest` is the first event of the
   * channel: both lead to a gap if events from there on were trimmed. `oldest` is the oldest kept event, without a gap.
   * Null is live only.
   */
  readonly since: number | "earliest" | "oldest" | null;
}

/** Events that a client asked for are missing. */
export interface Gap {
  /** `expired`: the events are no longer kept. `unknown`: the id is not one of this log. */
  readonly reason: "expired" | "unknown";
  /** The id that the client asked for, or the id it had reached; null if it asked for a time. */
  readonly requestedId: string | null;
  /** The oldest kept seq; `latest + 1` if no event is kept. */
  readonly oldest: number;
  readonly latest: number;
}

/** Where a stream starts. */
export interface Start {
  /** The stream delivers the events after this seq. */
  readonly cursor: number;
  readonly gap: Gap | null;
  /** The `generation` of the view to which the cursor belongs. */
  readonly generation?: number;
}

/** The next part of the log for a client at a cursor. */
export interface Page {
  /** The frames of the events that the filter lets through; null if it hides all of them. */
  readonly bytes: Uint8Array | null;
  /** The cursor after this page. */
  readonly cursor: number;
  /** The last id in `bytes`. */
  readonly lastId: number;
  readonly events: number;
  /** When the first event of the page was stored; null if the page is a replay. */
  readonly publishedAt: number | null;
}

/**
 * The log as the audience sees it. It ends at the durable head, so an event that a crash can take back cannot be
 * delivered by mistake. `start` and `page` may return promises, so that a view can fetch its pages from elsewhere. The
 * view of a hub, `DurableLog`, returns its pages at once.
 */
export interface LogView {
  /** The random name of the log. Empty until the first `start`. */
  readonly name: string;
  /**
   * Rises when another log replaces this one, whose ids then mean nothing. Absent if that cannot happen. The name is
   * not enough: a log that was restored from a backup has the same name and lacks the last events.
   */
  readonly generation?: number;
  /** The last durable seq. */
  head(): number;
  /** The oldest seq that may be delivered; `head + 1` if there is none. */
  oldest(): number;
  /** Finds the cursor for a request. Creates the log if it does not exist. Never fails because of a bad id. */
  start(request: StartRequest): Start | Promise<Start>;
  /**
   * The page after a cursor, which must be below the head and not below `oldest - 1`.
   *
   * @param maxBytes of the page; a larger event gets a page of its own
   * @throws if the log cannot be read
   */
  page(after: number, filter: Filter, maxBytes: number): Page | Promise<Page>;
  /** Whether the page after a cursor is in memory. Other pages have to be read, so a sweep asks for few of them. */
  isInMemory(after: number): boolean;
  /** Calls the listener whenever the head has moved. The audience then starts a sweep. */
  onAdvance(listener: () => void): void;
  /** Throws if the log cannot be read because the storage is broken or belongs to a newer instance. */
  check(): void;
}
