import type { Filter } from "../filter.ts";

/** Where a client wants its stream to begin. */
export interface StartRequest {
  /** The id that the client received last, as any text; null if it brings none. Unknown ids are answered with a gap. */
  readonly lastEventId: string | null;
  /** The log that the id belongs to; null if the client does not know it. */
  readonly logName: string | null;
  /**
   * Where to start without an id: at a time in ms since the epoch, or with the first event of the channel. Both are
   * answered with a gap if such events were trimmed. `oldest` starts with what is kept, without a gap; null is live only.
   */
  readonly since: number | "earliest" | "oldest" | null;
}

/** Why events that a client was owed are missing. */
export interface Gap {
  /** `expired`: older than what is kept. `unknown`: not an id of this log. */
  readonly reason: "expired" | "unknown";
  /** The id that the client asked for, or the one it had reached; null if it asked for a time. */
  readonly requestedId: string | null;
  /** The oldest seq that is kept; `latest + 1` if the log is empty. */
  readonly oldest: number;
  readonly latest: number;
}

/** Where a stream begins. */
export interface Start {
  /** The stream delivers the events after this seq. */
  readonly cursor: number;
  readonly gap: Gap | null;
}

/** The next piece of the log for a client at a cursor. */
export interface Page {
  /** The frames that the filter lets through; null if it hides all of them. */
  readonly bytes: Uint8Array | null;
  /** The cursor after this page. */
  readonly cursor: number;
  /** The last id in `bytes`. */
  readonly lastId: number;
  readonly events: number;
  /** When the first event of a live page was stored; null in replay. */
  readonly publishedAt: number | null;
}

/**
 * What the audience sees of a log. It ends at the durable head: a row that a crash can take back is not in it, so it
 * cannot be delivered by mistake. A hub's view reads its own storage, a relay's view reads what its hub sent.
 */
export interface LogView {
  /** The random name of the log. Empty until the first `start`. */
  readonly name: string;
  /** The last durable seq. */
  head(): number;
  /** The oldest seq that may be served; `head + 1` if there is none. */
  oldest(): number;
  /** Turns what a client asks for into a cursor. Creates the log if it does not exist. Never fails for a bad id. */
  start(request: StartRequest): Start | Promise<Start>;
  /**
   * The page after a cursor, which must be below the head and not below `oldest - 1`.
   *
   * @param maxBytes of the page; a first event that is larger goes alone
   * @throws if the log cannot be read
   */
  page(after: number, filter: Filter, maxBytes: number): Page | Promise<Page>;
  /** Whether the page after a cursor is in memory. Other pages cost a read, so a sweep asks for few of them. */
  isInMemory(after: number): boolean;
  /** Calls back whenever the head has moved. */
  onAdvance(listener: () => void): void;
  /** Throws if the log can no longer be read, because the storage is broken or a newer instance owns it. */
  check(): void;
}
