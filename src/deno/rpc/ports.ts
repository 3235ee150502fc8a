import type { RelayPort } from "../../relay/relay-port.ts";
import type { Lease, LeaseRequest } from "../../relay/seat-lease.ts";
import type { DirectoryPort, HubPort, TicketsPort } from "../../service/host.ts";
import type { RpcAddress } from "./call.ts";
import type { Calls } from "./caller.ts";
import { remotePort, type MethodNames } from "./remote-port.ts";
import type { OfferedPorts } from "./server.ts";

/** What the orderer offers to the serving processes. */
export interface OrdererPorts {
  readonly hubs: { of(channel: string): RelayedHubPort };
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  readonly processes: ProcessesPort;
}

/** The hub of one channel, as a serving process and its relay reach it. */
export interface RelayedHubPort extends HubPort {
  /** Gives seats to a relay, or takes them back. */
  lease(request: LeaseRequest): Promise<Lease>;
}

/** The serving processes, as the orderer knows them. */
export interface ProcessesPort {
  /** Tells where a serving process answers calls. Replaces what an earlier life of it has told. */
  register(number: number, address: RpcAddress): Promise<void>;
}

/** The methods of a hub that return a value. `connect` returns a stream. */
type HubValues = Omit<RelayedHubPort, "connect">;

const HUB: MethodNames<HubValues> = {
  publish: true,
  history: true,
  health: true,
  findDead: true,
  counters: true,
  clients: true,
  kick: true,
  drain: true,
  resume: true,
  stop: true,
  settled: true,
  lease: true,
};

const RELAY: MethodNames<RelayPort> = {
  report: true,
  clients: true,
  kick: true,
  findDead: true,
  end: true,
  settled: true,
  recall: true,
};

const DIRECTORY: MethodNames<DirectoryPort> = {
  look: true,
  enter: true,
  occupied: true,
  active: true,
  drainAll: true,
  resumeAll: true,
  drained: true,
  resumed: true,
  drain: true,
  resume: true,
  stop: true,
};

const TICKETS: MethodNames<TicketsPort> = { keep: true, take: true };

const PROCESSES: MethodNames<ProcessesPort> = { register: true };

/** For the orderer: its ports by the names that calls use. */
export function offeredByOrderer({ hubs, directory, tickets, processes }: OrdererPorts): OfferedPorts {
  return {
    hub: (channel) => hubs.of(channel),
    directory: () => directory,
    tickets: () => tickets,
    processes: () => ({ register: processes.register.bind(processes) }) satisfies ProcessesPort,
  };
}

/** For a serving process: the hub of a channel at the orderer, without its streams. */
export function remoteHub(orderer: Calls, channel: string): HubValues {
  return remotePort(orderer, HUB, "hub", channel);
}

export function remoteDirectory(orderer: Calls): DirectoryPort {
  return remotePort(orderer, DIRECTORY, "directory");
}

export function remoteTickets(orderer: Calls): TicketsPort {
  return remotePort(orderer, TICKETS, "tickets");
}

export function remoteProcesses(orderer: Calls): ProcessesPort {
  return remotePort(orderer, PROCESSES, "processes");
}

/** For a serving process: its relays by the name that calls use. */
export function offeredByServing(relayOf: (channel: string) => RelayPort): OfferedPorts {
  return { relay: relayOf };
}

/** For the orderer: the relay of a channel in a serving process. */
export function remoteRelay(serving: Calls, channel: string): RelayPort {
  return remotePort(serving, RELAY, "relay", channel);
}
