import type { ConfigBindings } from "../config/bindings.ts";
import type { Config } from "../config/schema.ts";

/** The configuration as the service reads it. */
export function configOf(env: ConfigBindings): Config {
  return {
    sse: env.SSE,
    channels: env.CHANNELS,
    filters: env.FILTERS,
    history: env.HISTORY,
    limits: env.LIMITS,
    auth: env.AUTH,
    cors: env.CORS,
    hosts: env.HOSTS,
    relays: env.RELAYS,
    logging: env.LOGGING,
  };
}
