import type { LimitsConfig } from "../config/schema.ts";

/** What is looked at of a request. */
interface Peer {
  readonly headers: Headers;
  readonly cf?: unknown;
}

/** What is looked at of the bindings. */
interface Setting {
  readonly LIMITS: Pick<LimitsConfig, "exempt_addresses">;
  readonly LAUNCH_ID?: string;
}

/**
 * The address of whoever makes a request, as the limits count: an IPv6 one by its /64, all of which one subscriber has.
 *
 * @returns null for an exempt or an unknown one
 */
export function addressOf(request: Peer, env: Setting): string | null {
  const address = normalized(peerOf(request, env));
  const exempt = env.LIMITS.exempt_addresses.map((each) => normalized(each));
  return address === null || exempt.includes(address) ? null : networkOf(address);
}

/** On the edge a header, which nobody else can set there; on this machine what the runtime says of the socket. */
function peerOf(request: Peer, env: Setting): string | null {
  if (env.LAUNCH_ID === undefined) {
    return request.headers.get("CF-Connecting-IP");
  }
  const { clientIp } = (request.cf ?? {}) as { clientIp?: unknown };
  const socket = typeof clientIp === "string" ? clientIp : "";
  return socket.replace(/^\[(.+)\](?::\d+)?$|^([^:]+):\d+$/, "$1$2");
}

/** One spelling for each address. `URL` has the parser of the standard; an IPv4 in IPv6 is an IPv4. */
function normalized(address: string | null): string | null {
  const url = `http://${address?.includes(":") ? `[${address}]` : address}`;
  if (address === null || !URL.canParse(url)) {
    return null;
  }
  const { hostname } = new URL(url);
  const [, high, low] = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(hostname) ?? [];
  return high === undefined || low === undefined ? hostname : ipv4Of(high, low);
}

function ipv4Of(high: string, low: string): string {
  const parts = [high, low].map((hex) => Number.parseInt(hex, 16));
  return parts.flatMap((part) => [part >> 8, part & 0xff]).join(".");
}

function networkOf(address: string): string {
  if (!address.startsWith("[")) {
    return address;
  }
  const [head = "", tail] = address.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(tail === undefined ? 0 : 8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
