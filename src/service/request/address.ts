import ipaddr from "ipaddr.js";

/** The longest text of an IP address, in characters. */
const ADDRESS_LENGTH = 45;

type Address = ReturnType<typeof ipaddr.process>;

/** How many groups of an IPv6 address are counted. A subscriber has a whole /64. */
const NETWORK_GROUPS = 4;

type Range = readonly [Address, number];

/** Entries of `X-Forwarded-For` that are read, from the last one on. A client can write as many as it likes. */
const FORWARDED_ENTRIES = 10;

/** An address with a port, as some proxies forward it: `203.0.113.7:52100`, `[2001:db8::1]:52100`. */
const WITH_PORT = /^(?:\[([0-9a-f:.]{2,45})\](?::\d{1,5})?|([0-9.]{7,15}):\d{1,5})$/i;

/** The settings that list IP addresses and networks such as `198.51.100.0/24`. */
export interface AddressRules {
  /** `limits.exempt_addresses`: the limits do not apply to them. */
  readonly exempt: readonly string[];
  /** `limits.trusted_proxies`: their `X-Forwarded-For` is believed. */
  readonly trusted: readonly string[];
}

/** Turns the IP address of a peer into the address that the limits count. */
export class Addresses {
  readonly #exempt: readonly Range[];
  readonly #trusted: readonly Range[];

  constructor({ exempt, trusted }: AddressRules) {
    this.#exempt = exempt.map(rangeOf);
    this.#trusted = trusted.map(rangeOf);
  }

  /**
   * The key by which the limits count an address: an IPv6 address by its /64, an IPv4 address also if it is written as an
   * IPv6 address.
   *
   * @param peer null if it is unknown
   * @param forwarded the header `X-Forwarded-For`
   * @returns null for an exempt or an unknown address
   */
  of(peer: string | null, forwarded: string | null): string | null {
    const nearest = peer === null ? null : parsed(peer);
    if (nearest === null) {
      return null;
    }
    const address = this.#clientBehind(nearest, forwarded ?? "");
    if (isWithin(this.#exempt, address)) {
      return null;
    }
    const text = address.toNormalizedString();
    return address.kind() === "ipv4" ? text : text.split(":").slice(0, NETWORK_GROUPS).join(":");
  }

  /**
   * Each proxy appends the address of its own peer, so the list is believed from its end, and only as far as the proxies
   * go: everything to the left of the first stranger is what that stranger says of itself.
   */
  #clientBehind(peer: Address, forwarded: string): Address {
    let address = peer;
    let end = forwarded.length;
    for (let entry = 0; entry < FORWARDED_ENTRIES && end >= 0; entry++) {
      if (!isWithin(this.#trusted, address)) {
        return address;
      }
      const start = end === 0 ? -1 : forwarded.lastIndexOf(",", end - 1);
      const next = parsed(withoutPort(forwarded.slice(start + 1, end).trim()));
      if (next === null) {
        return address;
      }
      address = next;
      end = start;
    }
    return address;
  }
}

function isWithin(ranges: readonly Range[], address: Address): boolean {
  return ranges.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
}

function withoutPort(text: string): string {
  const [, v6, v4] = WITH_PORT.exec(text) ?? [];
  return v6 ?? v4 ?? text;
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

function rangeOf(text: string): Range {
  if (text.includes("/")) {
    return ipaddr.parseCIDR(text);
  }
  const address = ipaddr.process(text);
  return [address, address.toByteArray().length * 8];
}
