import { HubError } from "../hub/errors.ts";
import type { DirectoryPort, Host, HubPort, Hubs, TicketsPort } from "../service/host.ts";
import { STREAM_HEADERS } from "../service/response/stream-headers.ts";
import { HostBase, type BaseOptions } from "./host-base.ts";
import { RpcFailure, type Calls } from "./rpc/caller.ts";
import { remoteDirectory, remoteHub, remoteTickets } from "./rpc/ports.ts";

/** What a serving process gets. */
export interface ServingOptions extends BaseOptions {
  /** Tells the serving processes apart in the log. */
  readonly number: number;
}

/** The ports of the service in a serving process. The hubs, the directory and the tickets are those of the orderer. */
export class ServingHost extends HostBase implements Host {
  readonly hubs: Hubs;
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  /** Nobody has this token: the launcher shuts down all processes at the orderer. The route answers as it does elsewhere. */
  readonly launcherToken = crypto.randomUUID();

  constructor(options: ServingOptions, orderer: Calls) {
    super(options, { process: options.number });
    this.hubs = { of: (channel) => hubAt(orderer, channel) };
    this.directory = remoteDirectory(orderer);
    this.tickets = remoteTickets(orderer);
  }

  refusalOf(failure: unknown): HubError | null {
    return failure instanceof RpcFailure
      ? new HubError("hub_unreachable", "The hub of this channel cannot be reached at the moment.")
      : null;
  }
}

/** A hub at the orderer. Its streams pass through this process. */
function hubAt(orderer: Calls, channel: string): HubPort {
  return {
    ...remoteHub(orderer, channel),
    connect: async (request) => {
      const stream = await orderer.open({ port: "hub", of: channel, method: "connect", args: [request] });
      return new Response(stream, { headers: STREAM_HEADERS });
    },
  };
}
