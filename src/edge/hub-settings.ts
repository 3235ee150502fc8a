import type { HubSettings } from "../hub/hub-settings.ts";
import type { Env } from "./env.ts";

/** The numbers of config.yaml that rule the hub of a channel. */
export function settingsOf(env: Env, channel: string): HubSettings {
  const { SSE, HISTORY, LIMITS } = env;
  return {
    channel,
    heartbeatIntervalMs: SSE.heartbeat_interval_seconds * 1_000,
    maxConnections: SSE.max_connections,
    maxConnectionsPerAddress: LIMITS.max_connections_per_address,
    maxConnectsPerMinutePerAddress: LIMITS.max_connects_per_minute_per_address,
    maxPublishesPerMinutePerToken: LIMITS.max_publishes_per_minute_per_token,
    connectionTimeoutMs: SSE.connection_timeout_seconds * 1_000,
    retryAfterMs: SSE.retry_after_seconds * 1_000,
    maxStreamAgeMs: LIMITS.max_stream_age_seconds * 1_000,
    retention: {
      maxEvents: HISTORY.max_events,
      maxAgeMs: HISTORY.max_age_seconds * 1_000,
      maxBytes: HISTORY.max_bytes,
    },
  };
}
