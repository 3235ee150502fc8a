import type { ConfigBindings } from "../config/bindings.ts";
import type { Secrets } from "../service/host.ts";
import type { DirectoryRpc, HubRpc, TicketsRpc } from "./objects.ts";

/** The bindings: one for each section of config.yaml, compiled at build time, the secrets, and what wrangler.toml adds. */
export interface Env extends ConfigBindings, Secrets {
  /** One hub for each channel, by the channel's name. */
  readonly HUBS: DurableObjectNamespace<HubRpc>;
  /** The one directory of all channels. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryRpc>;
  /** The tickets that wait to be used: 16 objects, by the first digit of the ticket. */
  readonly TICKETS: DurableObjectNamespace<TicketsRpc>;
  /** The platform's count of requests by address: approximate, and for each location. Not on this machine. */
  readonly REQUEST_RATE?: RateLimit;
  /** The files of `public/`. */
  readonly ASSETS: Fetcher;

  /** Given by the local launcher alone: which start this is, and what lets the launcher stop all streams. */
  readonly LAUNCH_ID?: string;
  readonly SHUTDOWN_TOKEN?: string;
  /** The host that it listens on, as `--host` names it. Names of other hosts are refused then. */
  readonly LISTEN_HOST?: string;
}
