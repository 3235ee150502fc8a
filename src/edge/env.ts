import type {
  AuthConfig,
  ChannelsConfig,
  CorsConfig,
  HistoryConfig,
  HostsConfig,
  LimitsConfig,
  LoggingConfig,
  SseConfig,
} from "../config/schema.ts";
import type { DirectoryObject } from "./directory-object.ts";
import type { HubObject } from "./hub-object.ts";
import type { TicketsObject } from "./tickets-object.ts";

/** The bindings: one for each section of config.yaml, compiled at build time, and what wrangler.toml adds. */
export interface Env {
  readonly SSE: SseConfig;
  readonly CHANNELS: ChannelsConfig;
  readonly HISTORY: HistoryConfig;
  readonly LIMITS: LimitsConfig;
  readonly AUTH: AuthConfig;
  readonly CORS: CorsConfig;
  readonly HOSTS: HostsConfig;
  readonly LOGGING: LoggingConfig;

  /** One hub for each channel, by the channel's name. */
  readonly HUBS: DurableObjectNamespace<HubObject>;
  /** The one directory of all channels. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryObject>;
  /** The tickets that wait to be used: 16 objects, by the first digit of the ticket. */
  readonly TICKETS: DurableObjectNamespace<TicketsObject>;
  /** The platform's count of requests by address: approximate, and for each location. Not on this machine. */
  readonly REQUEST_RATE?: RateLimit;
  /** The files of `public/`. */
  readonly ASSETS: Fetcher;

  /** Secrets: one token each, or several between commas. A missing or empty one closes the routes that it guards. */
  readonly PUBLISH_TOKEN?: string;
  readonly SUBSCRIBE_TOKEN?: string;
  readonly ADMIN_TOKEN?: string;
  readonly METRICS_TOKEN?: string;
  /** What HS256 tokens are signed with: 32 bytes at least. */
  readonly JWT_SECRET?: string;

  /** Given by the local launcher alone: which start this is, and what lets the launcher stop all streams. */
  readonly LAUNCH_ID?: string;
  readonly SHUTDOWN_TOKEN?: string;
  /** The host that it listens on, as `--host` names it. Names of other hosts are refused then. */
  readonly LISTEN_HOST?: string;
}
