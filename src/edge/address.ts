import type { Env } from "./env.ts";

/** What is looked at of a request. */
interface Peer {
  readonly headers: Headers;
  readonly cf?: unknown;
}

/**
 * The address of whoever makes a request, as the limits count: an IPv6 one by its /64, all of which one subscriber has.
 *
 * @returns null for an exempt or an unknown one
 */
export function addressOf(request: Peer, env: Env): string | null {
  const address = normalized(peerOf(request, env));
  const exempt = env.LIMITS.exempt_addresses.map((each) => normalized(each));
  return address === null || exempt.includes(address) ? null : networkOf(address);
}

/** On the edge a header, which nobody else can set there; on this machine what the runtime says of the socket. */
function peerOf(request: Peer, env: Env): string | null {
  if (env.LAUNCH_ID === undefined) {
    return request.headers.get("CF-Connecting-IP");
  }
  const { clientIp } = (request.cf ?? {}) as { clientIp?: unknown };
  return typeof clientIp === "string" ? clientIp.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "") : null;
}

/** One spelling for each address. `URL` has the parser of the standard; an IPv4 in IPv6 is an IPv4. */
function normalized(address: string | null): string | null {
  if (address === null || address === "") {
    return null;
  }
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const host = mapped ?? (address.includes(":") ? `[${address}]` : address);
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
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
