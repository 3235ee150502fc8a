import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer, isIPv6 } from "node:net";

import { LaunchError } from "./launch-error.ts";

/**
 * The numeric `host:port` to listen on, having made sure that it can be: the runtime's own errors are hard to read.
 * A name becomes one address, since with port 0 each of several would get a port of its own.
 */
export async function claimAddress({ host, port }: { host: string; port: number }): Promise<string> {
  const address = await resolveHost(host);
  const probe = createServer();
  try {
    probe.listen({ host: address, port });
    await once(probe, "listening");
  } catch (error) {
    throw new LaunchError(`cannot listen on ${toUrl(host, port)}: ${reasonOf(error)}`, { cause: error });
  }
  probe.close();
  await once(probe, "close");
  return authority(address, port);
}

/** The same address with the port that it was given, where any free one was asked for. */
export function withPort(address: string, port: number): string {
  return address.replace(/:\d+$/, `:${port}`);
}

export function toUrl(host: string, port: number): string {
  return `http://${authority(host, port)}`;
}

/** Where a client on this machine finds a service that listens on that host. */
export function reachable(host: string): string {
  return { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
}

function authority(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

async function resolveHost(host: string): Promise<string> {
  try {
    const { address } = await lookup(host, { order: "ipv4first" });
    return address;
  } catch (error) {
    throw new LaunchError(`there is no host called ${host}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    EADDRINUSE: "the port is in use (another one: --port N; any free one: --port 0)",
    EACCES: "this user may not use that port",
    EADDRNOTAVAIL: "this machine does not have that address",
  };
  return reasons[code ?? ""] ?? message;
}
