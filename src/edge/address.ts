import ipaddr from "ipaddr.js";
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

type Address = ReturnType<typeof ipaddr.process>;

/** Groups of an IPv6 address that say whose it is: one subscriber has the whole /64. */
const NETWORK_GROUPS = 4;

/**
 * The address of whoever makes a request, as the limits count: an IPv6 one by its /64, an IPv4 one in an IPv6 one as
 * itself.
 *
 * @returns null for an exempt or an unknown one
 */
export function addressOf(request: Peer, { LIMITS, LAUNCH_ID }: Setting): string | null {
  const peer = LAUNCH_ID === undefined ? request.headers.get("CF-Connecting-IP") : socketPeer(request.cf);
  if (peer === null || !ipaddr.isValid(peer)) {
    return null;
  }
  const address = ipaddr.process(peer);
  if (LIMITS.exempt_addresses.some((exempt) => isWithin(address, exempt))) {
    return null;
  }
  const text = address.toNormalizedString();
  return address.kind() === "ipv4" ? text : text.split(":").slice(0, NETWORK_GROUPS).join(":");
}

/** On the edge a header says it, which nobody else can set there; on this machine the runtime, of the socket. */
function socketPeer(cf: unknown): string | null {
  const { clientIp } = (cf ?? {}) as { clientIp?: unknown };
  const socket = typeof clientIp === "string" ? clientIp : "";
  return socket.replace(/^\[(.+)\](?::\d+)?$|^([^:]+):\d+$/, "$1$2");
}

function isWithin(address: Address, exempt: string): boolean {
  if (!exempt.includes("/")) {
    return ipaddr.process(exempt).toString() === address.toString();
  }
  const [range, bits] = ipaddr.parseCIDR(exempt);
  return range.kind() === address.kind() && address.match(range, bits);
}
