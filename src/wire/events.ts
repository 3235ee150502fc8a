import type { GapNotice } from "./frames.ts";

/** The result of publishing one event. */
export interface Receipt {
  readonly id: string;
  readonly type: string;
  /** The key was known: `id` is the id of the event that has the key, and nothing was stored or sent. */
  readonly duplicate: boolean;
  /** Present on a duplicate that differs from the stored event. */
  readonly conflict?: boolean;
}

/** The answer of `POST /api/publish`. */
export interface PublishAnswer {
  readonly events: readonly Receipt[];
}

/** An event of `GET /api/history`. */
export interface HistoryEvent {
  readonly id: string;
  readonly type: string;
  /** An event has either data or text. */
  readonly data?: unknown;
  readonly text?: string;
  /** When the hub stored the event, in ISO 8601 and UTC. */
  readonly published_at: string;
  /** The fields of the event, by name. Each is a string. */
  readonly [field: string]: unknown;
}

/** The answer of `GET /api/history`. */
export interface HistoryAnswer {
  readonly events: readonly HistoryEvent[];
  /** The last id that was scanned. Pass it as `after` to go on. */
  readonly next: string;
  /** Whether the next request has something to read now. */
  readonly more: boolean;
  /** Null if no event is kept. */
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: GapNotice;
}
