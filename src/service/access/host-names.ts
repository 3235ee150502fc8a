import ipaddr from "ipaddr.js";
import { Problem } from "../response/problem.ts";

/** By which names the service is reached. */
export interface HostNames {
  /** The host that the service listens on; undefined: the platform decides which names reach it. */
  readonly listenHost?: string | undefined;
  /** `hosts.allowed` of config.yaml. */
  readonly allowed: readonly string[];
}

/** A name, an IPv4 address or an IPv6 address in brackets, and a port. The lengths bound what is looked at at all. */
const HOST = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

/** The host of an address as a URL has it. Some are right for the standard, and a fetch of them is not: `GET *` makes one. */
const HOSTNAME = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])$/;

/**
 * Why a request with this `Host` is refused; null: it is not.
 *
 * The local runtime puts the header and the target of a request together to its URL. A Host of `a/api/admin/drain#` would
 * then choose the route, and a proxy in front, which looks at the target alone, would not see it.
 *
 * @param header null: the platform has read it, and gives only the URL
 */
export function hostRefusal(header: string | null, url: string, names: HostNames): Problem | null {
  if (
    (header !== null && !HOST.test(header)) ||
    !URL.canParse(url) ||
    !HOSTNAME.test(new URL(url).hostname)
  ) {
    const detail =
      "The Host header of this request is not a host and an optional port, or its target is no path.";
    return new Problem("invalid_request", detail);
  }
  const { hostname } = new URL(url);
  if (names.listenHost !== undefined && !isOwnHost(hostname, names.listenHost, names.allowed)) {
    const detail =
      "This service is not known by the name in the Host header: config.yaml, hosts.allowed, can add it.";
    return new Problem("invalid_request", detail);
  }
  return null;
}

/**
 * Whether a listener of this machine goes by a name. A page of anybody can make its own name lead to this machine (DNS
 * rebinding), and would then be of the same origin as the service; an address has no name to rebind, and a browser never
 * asks the network for names below `localhost`.
 *
 * @param hostname as a URL has it: in lower case, an address in its one spelling
 */
function isOwnHost(hostname: string, listenHost: string, allowed: readonly string[]): boolean {
  const name = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  return (
    hostname.startsWith("[") ||
    ipaddr.IPv4.isValidFourPartDecimal(name) ||
    name === "localhost" ||
    name.endsWith(".localhost") ||
    name === listenHost.toLowerCase() ||
    allowed.some((entry) => isNamed(name, entry))
  );
}

/** `*.example.com` is every subdomain, and not the name itself. */
function isNamed(name: string, entry: string): boolean {
  return entry.startsWith("*")
    ? name.endsWith(entry.slice(1)) && name.length >= entry.length
    : name === entry;
}
