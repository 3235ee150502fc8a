import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer, isIPv6 } from "node:net";

import { LaunchError } from "./launch-error.ts";

/**
 * Resolves the numeric `host:port` to listen on, and tries to listen on it, because the errors of the runtime are
 * hard to read. A name becomes a single address: with port 0, each of several addresses would get a different port.
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

/** The host at which clients on this machine reach a service that listens on `host`. */
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
    throw new LaunchError(`cannot find the address of the host ${host}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    EADDRINUSE: "the port is in use. Choose another one with --port N, or any free one with --port 0",
    EACCES: "this user is not allowed to use that port",
    EADDRNOTAVAIL: "this machine does not have that address",
  };
  return reasons[code ?? ""] ?? message;
}
