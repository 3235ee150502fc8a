import { HubError } from "../hub/errors.ts";
import { OpenStreams } from "../hub/audience/open-streams.ts";
import type { DirectoryPort, Host, Hubs, TicketsPort } from "../service/host.ts";
import { createLogger } from "../service/logger.ts";
import { HostBase, type BaseOptions } from "./host-base.ts";
import { LocalRelays } from "./local-relays.ts";
import { RpcFailure, type Calls } from "./rpc/caller.ts";
import { remoteDirectory, remoteHub, remoteTickets } from "./rpc/ports.ts";

/** What a serving process gets. */
export interface ServingOptions extends BaseOptions {
  /** Tells the serving processes apart in the log. */
  readonly number: number;
}

/**
 * The ports of the service in a serving process. The hubs, the directory and the tickets are those of the orderer. The
 * relays of this process hold its clients.
 */
export class ServingHost extends HostBase implements Host {
  readonly hubs: Hubs;
  readonly relays: LocalRelays;
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  /** Nobody has this token: the launcher shuts down all processes at the orderer. The route answers as it does elsewhere. */
  readonly launcherToken = crypto.randomUUID();

  constructor(options: ServingOptions, orderer: Calls) {
    const { config, number } = options;
    super(options, { process: number });
    this.relays = new LocalRelays({
      config,
      orderer,
      number,
      openStreams: new OpenStreams(),
      logger: (channel) => createLogger(config.logging.level, { process: number, channel }),
    });
    this.hubs = {
      of: (channel) => ({
        ...remoteHub(orderer, channel),
        connect: (request) => this.relays.connect(channel, request),
      }),
    };
    this.directory = remoteDirectory(orderer);
    this.tickets = remoteTickets(orderer);
  }

  refusalOf(failure: unknown): HubError | null {
    return failure instanceof RpcFailure
      ? new HubError("hub_unreachable", "The hub of this channel cannot be reached at the moment.")
      : null;
  }
}
