import type { RetentionBounds } from "./log/retention.ts";

/** The settings of a hub. */
export interface HubSettings {
  readonly channel: string;
  readonly heartbeatIntervalMs: number;
  /** The most clients of the channel. */
  readonly maxConnections: number;
  /** The most clients that one object holds. */
  readonly clientsPerObject: number;
  /** 0 for no limit per address. */
  readonly maxConnectionsPerAddress: number;
  /** 0 for no limit. */
  readonly maxConnectsPerMinutePerAddress: number;
  /** 0 for no limit. */
  readonly maxPublishesPerMinutePerToken: number;
  readonly connectionTimeoutMs: number;
  readonly retryAfterMs: number;
  /** 0 for no maximum. */
  readonly maxStreamAgeMs: number;
  readonly retention: RetentionBounds;
}
