import type { Config } from "../config/schema.ts";
import type { HubSettings } from "../hub/hub-settings.ts";

/** The settings of the hub of a channel, from config.yaml. */
export function settingsOf(config: Config, channel: string): HubSettings {
  const { sse, history, limits } = config;
  return {
    channel,
    heartbeatIntervalMs: sse.heartbeat_interval_seconds * 1_000,
    maxConnections: sse.max_connections,
    clientsPerObject: limits.clients_per_object,
    maxConnectionsPerAddress: limits.max_connections_per_address,
    maxConnectsPerMinutePerAddress: limits.max_connects_per_minute_per_address,
    maxPublishesPerMinutePerToken: limits.max_publishes_per_minute_per_token,
    connectionTimeoutMs: sse.connection_timeout_seconds * 1_000,
    retryAfterMs: sse.retry_after_seconds * 1_000,
    maxStreamAgeMs: limits.max_stream_age_seconds * 1_000,
    retention: {
      maxEvents: history.max_events,
      maxAgeMs: history.max_age_seconds * 1_000,
      maxBytes: history.max_bytes,
    },
  };
}
