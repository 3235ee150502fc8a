import type { Counters } from "./counters.ts";
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
  /** The relays that hold the clients of the channel. Absent if the hub holds them itself. */
  readonly relays?: RelaysHealth;
}

/** The state of all relays of a channel. */
export interface RelaysHealth {
  readonly count: number;
  /** How many of them have lost their hub, lag behind it, or cannot be reached. */
  readonly behind: number;
  /** By how many events the slowest of them lags. */
  readonly eventsBehind: number;
}

/** What a hub, or one of its relays, has counted. */
export interface ChannelCounts {
  readonly counters: Counters;
  readonly health: HubHealth;
  readonly relays: readonly RelayCounts[];
}

/** What one relay has counted. */
export interface RelayCounts {
  /** The name of the relay within its channel. */
  readonly relay: string;
  readonly region: string;
  readonly counters: Counters;
  readonly activeConnections: number;
  readonly lingeringConnections: number;
  /** By how many events it lags behind its hub. */
  readonly eventsBehind: number;
}

/** A registered client. Times are in ms since the epoch. */
export interface ClientView {
  readonly id: string;
  /** The relay that holds the client. Absent if the hub holds it. */
  readonly relay?: string;
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

/** A part of the list of clients that is wanted. */
export interface ClientPage {
  /** Where the part before has ended; empty for the first part. */
  readonly after: string;
  /** The most clients in the part. */
  readonly limit: number;
}

/** A part of the list of clients, in the order of their relays and ids. */
export interface ClientList {
  readonly clients: readonly ClientView[];
  /** Where the next part starts; null if this is the last one. */
  readonly next: string | null;
}

/** The result of ending all streams of a channel. */
export interface Ended {
  readonly closed: number;
  readonly lingering: number;
}
