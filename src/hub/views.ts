import type { FilterTerms } from "./filter.ts";

/** The state of a hub for an operator. Plain data, because it crosses from the hub to the Worker. */

/** The state of a channel. */
export interface HubHealth {
  readonly status: "healthy" | "degraded" | "draining";
  /** Why the channel is degraded. */
  readonly reasons: readonly string[];
  /** When the drain ends, in ms since the epoch; null if the channel is not draining. */
  readonly drainUntil: number | null;
  readonly activeConnections: number;
  /** Streams that were ended, but whose peers have not accepted the end. */
  readonly lingeringConnections: number;
  readonly maxConnections: number;
  readonly lastEventId: number;
  /** Null if the log keeps no event. */
  readonly oldestEventId: number | null;
}

/** A registered client. Times are in ms since the epoch. */
export interface ClientView {
  readonly id: string;
  readonly connectedAt: number;
  readonly lastEventAt: number | null;
  readonly writtenAt: number;
  readonly pendingSince: number | null;
  readonly resumedFrom: string | null;
  /** Null for never. */
  readonly tokenEndsAt: number | null;
  readonly terms: FilterTerms;
  readonly cursor: number;
  readonly lag: number;
  readonly eventsSent: number;
}

/** The result of ending all streams of a channel. */
export interface Ended {
  readonly closed: number;
  readonly lingering: number;
}
