import type { RetentionBounds } from "./log/retention.ts";

/** The numbers that rule a hub. */
export interface HubSettings {
  readonly channel: string;
  readonly heartbeatIntervalMs: number;
  readonly maxConnections: number;
  /** 0: an address may hold as many as there are. */
  readonly maxConnectionsPerAddress: number;
  /** 0: not limited. */
  readonly maxConnectsPerMinutePerAddress: number;
  /** 0: not limited. */
  readonly maxPublishesPerMinutePerToken: number;
  readonly connectionTimeoutMs: number;
  readonly retryAfterMs: number;
  /** 0: streams do not age. */
  readonly maxStreamAgeMs: number;
  readonly retention: RetentionBounds;
}
