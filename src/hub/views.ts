import type { FilterTerms } from "./filter.ts";

/** What an operator sees of a hub. Plain data: it crosses from the hub to the Worker. */

/** The state of a channel. */
export interface HubHealth {
  readonly status: "healthy" | "degraded" | "draining";
  /** Why it is degraded. */
  readonly reasons: readonly string[];
  /** Until when it is drained, in ms since the epoch; null: it is not. */
  readonly drainUntil: number | null;
  readonly activeConnections: number;
  /** Streams that were ended, but whose peers have not taken the end. */
  readonly lingeringConnections: number;
  readonly maxConnections: number;
  readonly lastEventId: number;
  /** Null: nothing is kept. */
  readonly oldestEventId: number | null;
}

/** One client of the registry. Times in ms since the epoch. */
export interface ClientView {
  readonly id: string;
  readonly connectedAt: number;
  readonly lastEventAt: number | null;
  readonly writtenAt: number;
  readonly pendingSince: number | null;
  readonly resumedFrom: string | null;
  /** Null: never. */
  readonly tokenEndsAt: number | null;
  readonly terms: FilterTerms;
  readonly cursor: number;
  readonly lag: number;
  readonly eventsSent: number;
}

/** What ending all streams of a channel came to. */
export interface Ended {
  readonly closed: number;
  readonly lingering: number;
}
