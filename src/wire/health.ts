/** Whether a channel or the service can be used. */
export type HealthStatus = "healthy" | "degraded" | "draining";

/** The numbers of a channel. Left out for a request that `auth.metrics` does not let in. */
export interface ChannelNumbers {
  /** ISO 8601. Only while the channel is drained. */
  readonly draining_until?: string;
  /** Null if the hub cannot be reached. */
  readonly active_connections: number | null;
  readonly lingering_connections?: number;
  readonly max_connections: number;
  readonly last_event_id: string | null;
  /** Null if nothing is kept. */
  readonly oldest_event_id?: string | null;
}

/** The state of one channel. */
export interface ChannelHealth extends Partial<ChannelNumbers> {
  readonly channel: string;
  readonly status: HealthStatus;
  /** Why it is degraded. */
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
  /** How many channels have been used; null if that cannot be told. Left out where the numbers are guarded. */
  readonly channels?: number | null;
  /** The default channel, where it is allowed. */
  readonly sse?: ChannelHealth;
}
