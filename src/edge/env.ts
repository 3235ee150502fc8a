import type { ConfigBindings } from "../config/bindings.ts";
import type { Secrets } from "../service/host.ts";
import type { DirectoryRpc, HubRpc, RelayRpc, TicketsRpc } from "./objects.ts";

/** The bindings of the Worker: the sections of config.yaml, the secrets, the objects, and values of the local launcher. */
export interface Env extends ConfigBindings, Secrets {
  /** One hub for each channel, named after the channel. */
  readonly HUBS: DurableObjectNamespace<HubRpc>;
  /** The relays of large channels, named after their channel, region and number. */
  readonly RELAY_OBJECTS: DurableObjectNamespace<RelayRpc>;
  /** The one directory of all channels. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryRpc>;
  /** The unused tickets, in 16 objects named after the first digit of a ticket. */
  readonly TICKETS: DurableObjectNamespace<TicketsRpc>;
  /** The platform's count of requests by address: approximate, and for each location. Absent with `npm start`. */
  readonly REQUEST_RATE?: RateLimit;
  /** The files of `public/`. */
  readonly ASSETS: Fetcher;

  /** Only from the local launcher: a random name for each start. */
  readonly LAUNCH_ID?: string;
  /** Only from the local launcher: the token by which it ends all streams. */
  readonly SHUTDOWN_TOKEN?: string;
  /** Only from the local launcher: the `--host` that it listens on. Other host names are refused then. */
  readonly LISTEN_HOST?: string;
}
