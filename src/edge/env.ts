import type {
  ChannelsConfig,
  HistoryConfig,
  LimitsConfig,
  LoggingConfig,
  SseConfig,
} from "../config/schema.ts";
import type { DirectoryObject } from "./directory-object.ts";
import type { HubObject } from "./hub-object.ts";

/** The bindings: one for each section of config.yaml, compiled at build time, and what wrangler.toml adds. */
export interface Env {
  readonly SSE: SseConfig;
  readonly CHANNELS: ChannelsConfig;
  readonly HISTORY: HistoryConfig;
  readonly LIMITS: LimitsConfig;
  readonly LOGGING: LoggingConfig;

  /** One hub for each channel, by the channel's name. */
  readonly HUBS: DurableObjectNamespace<HubObject>;
  /** The one directory of all channels. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryObject>;
  /** The files of `public/`. */
  readonly ASSETS: Fetcher;

  /** Secrets. A missing or empty one closes the routes that it guards. */
  readonly PUBLISH_TOKEN?: string;
  readonly ADMIN_TOKEN?: string;

  /** Given by the local launcher alone: which start this is, and what lets the launcher stop all streams. */
  readonly LAUNCH_ID?: string;
  readonly SHUTDOWN_TOKEN?: string;
}
