import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";

/** The hub as its relay sees it: the stream of all events, and the history for what is older than the tail. */
export interface Upstream {
  /**
   * Opens the hub's own stream: every event, with its envelope as data. The frames are those of `GET /api/events`.
   *
   * @param signal ends the stream
   * @throws HubError if the hub refuses the stream, and any other error if it cannot be reached
   */
  open(from: FeedStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** @throws HubError as `Hub.history` */
  history(request: HistoryRequest): Promise<HistoryPage>;
}

/** Where a feed starts. */
export interface FeedStart {
  /** Deliver the events after this seq; null for those that were stored since a time. */
  readonly cursor: number | null;
  /** The log that the cursor belongs to; null if the relay knows none. */
  readonly logName: string | null;
  /** Without a cursor: the time in ms since the epoch from which on events are delivered. */
  readonly since: number;
  /** The relay whose stream is followed; null is the hub itself. */
  readonly parent: string | null;
}
