import ipaddr from "ipaddr.js";
import { Problem } from "../response/problem.ts";

/** The host names under which the service may be reached. */
export interface HostNames {
  /** The host that the service listens on; undefined if the platform decides which names reach it. */
  readonly listenHost?: string | undefined;
  /** `hosts.allowed` of config.yaml. */
  readonly allowed: readonly string[];
}

/** A name, an IPv4 address or an IPv6 address in brackets, and an optional port. */
const HOST = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

/** The host name of a URL. The URL standard accepts more, such as the host that the runtime makes of `GET *`. */
const HOSTNAME = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])$/;

/**
 * Checks the `Host` of a request.
 *
 * The local runtime joins the `Host` header and the target of a request to a URL. With `Host: a/api/admin/drain#` an
 * attacker would choose the route, and a proxy that looks only at the target would not notice.
 *
 * @param header null if the platform has removed the header and gives only the URL
 * @returns why the request is refused; null if it is not
 */
export function hostRefusal(header: string | null, url: string, names: HostNames): Problem | null {
  if (
    (header !== null && !HOST.test(header)) ||
    !URL.canParse(url) ||
    !HOSTNAME.test(new URL(url).hostname)
  ) {
    const detail =
      "The request line or the Host header is not valid. Send a path as the target, and a host with an optional port.";
    return new Problem("invalid_request", detail);
  }
  const { hostname } = new URL(url);
  if (names.listenHost !== undefined && !isOwnHost(hostname, names.listenHost, names.allowed)) {
    const detail =
      "The name in the Host header is not a name of this service. Use another name, or add this one to hosts.allowed in config.yaml.";
    return new Problem("invalid_request", detail);
  }
  return null;
}

/**
 * Whether a host name belongs to a service on this machine.
 *
 * The attack is DNS rebinding: a web page lets its own name point to this machine, and is then of the same origin as the
 * service. IP addresses are safe, because there is no name to rebind. Names below `localhost` are safe, because browsers
 * do not ask the network for them.
 *
 * @param hostname as in a URL: in lower case, and with an address in its canonical spelling
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

/** `*.example.com` covers all subdomains, but not `example.com` itself. */
function isNamed(name: string, entry: string): boolean {
  return entry.startsWith("*")
    ? name.endsWith(entry.slice(1)) && name.length >= entry.length
    : name === entry;
}
