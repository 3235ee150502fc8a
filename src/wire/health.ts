/** The state of a channel or of the service. */
export type HealthStatus = "healthy" | "degraded" | "draining";

/** The numbers of a channel. They are left out if `auth.metrics` does not admit the request. */
export interface ChannelNumbers {
  /** ISO 8601. Present only while the channel is draining. */
  readonly draining_until?: string;
  /** Null if the hub cannot be reached. */
  readonly active_connections: number | null;
  readonly lingering_connections?: number;
  readonly max_connections: number;
  readonly last_event_id: string | null;
  /** Null if no event is kept. */
  readonly oldest_event_id?: string | null;
  /** Present only if relays hold the clients of the channel. */
  readonly relays?: RelaysSummary;
}

/** The relays of a channel. */
export interface RelaysSummary {
  readonly count: number;
  /** How many of them have lost their hub, lag behind it, or cannot be reached. */
  readonly behind: number;
  /** By how many events the slowest of them lags. */
  readonly events_behind: number;
}

/** The state of one channel. */
export interface ChannelHealth extends Partial<ChannelNumbers> {
  readonly channel: string;
  readonly status: HealthStatus;
  /** Why the channel is degraded. */
  readonly reasons: readonly string[];
}

/** The answer of `GET /health?channel=`. */
export interface HealthAnswer {
  readonly status: HealthStatus;
  readonly version: string;
  readonly sse: ChannelHealth;
}

/** The answer of `GET /health` without a channel: the service as a whole. */
export interface ServiceHealthAnswer {
  readonly status: HealthStatus;
  readonly version: string;
  /**
   * How many channels have been used; null if the directory cannot be reached. Left out where the numbers are guarded.
   */
  readonly channels?: number | null;
  /** The default channel, where it is allowed. */
  readonly sse?: ChannelHealth;
}
