import type { RetentionBounds } from "./retention.ts";

/** The numbers that rule a hub. */
export interface HubSettings {
  readonly channel: string;
  readonly heartbeatIntervalMs: number;
  readonly maxConnections: number;
  /** 0: no limit, as of the other two. */
  readonly maxConnectionsPerAddress: number;
  readonly maxConnectsPerMinutePerAddress: number;
  readonly maxPublishesPerMinutePerToken: number;
  readonly connectionTimeoutMs: number;
  readonly retryAfterMs: number;
  /** 0: streams do not age. */
  readonly maxStreamAgeMs: number;
  readonly retention: RetentionBounds;
}
