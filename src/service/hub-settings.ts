import type { Config } from "../config/schema.ts";
import type { HubSettings } from "../hub/hub-settings.ts";
import type { RelayedHubSettings } from "../relay/relayed-hub.ts";
import type { RelaySettings } from "../relay/relay.ts";

/** Whether relays hold the clients of a channel. */
export function usesRelays({ sse, limits }: Config): boolean {
  return sse.max_connections > limits.clients_per_object;
}

/** The settings of a hub with relays, from config.yaml. */
export function relayedHubSettingsOf(config: Config, channel: string): RelayedHubSettings {
  return {
    ...settingsOf(config, channel),
    maxRelays: config.relays.max,
  };
}

/** The settings of a relay of a channel, from config.yaml. */
export function relaySettingsOf(config: Config, channel: string, relay: string): RelaySettings {
  const { relays } = config;
  return {
    ...settingsOf(config, channel),
    relay,
    tail: { maxEvents: relays.tail_events, maxBytes: relays.tail_bytes },
  };
}

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
