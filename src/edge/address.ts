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

/** Characters of an IP address. */
const ADDRESS_LENGTH = 45;

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
  const address = peer === null ? null : parsed(peer);
  if (address === null || isExempt(address, LIMITS.exempt_addresses)) {
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

function parsed(text: string): Address | null {
  if (text.length > ADDRESS_LENGTH) {
    return null;
  }
  try {
    return ipaddr.process(text);
  } catch {
    return null;
  }
}

function isExempt(address: Address, exempt: readonly string[]): boolean {
  return rangesOf(exempt).some(
    ([range, bits]) => range.kind() === address.kind() && address.match(range, bits),
  );
}

type Range = readonly [Address, number];

/** The exempt ranges of a configuration: they are parsed once, and not for every connect. */
const parsedRanges = new WeakMap<readonly string[], readonly Range[]>();

function rangesOf(exempt: readonly string[]): readonly Range[] {
  const ranges = parsedRanges.get(exempt) ?? exempt.map(rangeOf);
  parsedRanges.set(exempt, ranges);
  return ranges;
}

function rangeOf(text: string): Range {
  if (text.includes("/")) {
    return ipaddr.parseCIDR(text);
  }
  const address = ipaddr.process(text);
  return [address, address.toByteArray().length * 8];
}
