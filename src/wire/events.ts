import type { GapNotice } from "./frames.ts";

/** What became of one published event. */
export interface Receipt {
  readonly id: string;
  readonly type: string;
  /** The key was known: this is the id of the event that was stored under it, and nothing was sent. */
  readonly duplicate: boolean;
  /** Only on a duplicate: the stored event differs from this one. */
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
  readonly data: unknown;
  readonly project_id?: string;
  readonly agent_id?: string;
  /** When the hub stored the event: ISO 8601, in UTC. */
  readonly published_at: string;
}

/** The answer of `GET /api/history`. */
export interface HistoryAnswer {
  readonly events: readonly HistoryEvent[];
  /** The id that the reading has reached, to pass as `after`. */
  readonly next: string;
  /** Whether there is more to read at once. */
  readonly more: boolean;
  /** Null if nothing is kept. */
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: GapNotice;
}
