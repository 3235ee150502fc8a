import ipaddr from "ipaddr.js";

/** The longest text of an IP address, in characters. */
const ADDRESS_LENGTH = 45;

type Address = ReturnType<typeof ipaddr.process>;

/** How many groups of an IPv6 address are counted. A subscriber has a whole /64. */
const NETWORK_GROUPS = 4;

type Range = readonly [Address, number];

/** Turns the IP address of a peer into the address that the limits count. */
export class Addresses {
  readonly #exempt: readonly Range[];

  /** @param exempt addresses and networks to which the limits do not apply, as in `limits.exempt_addresses`. */
  constructor(exempt: readonly string[]) {
    this.#exempt = exempt.map(rangeOf);
  }

  /**
   * The key by which the limits count an address: an IPv6 address by its /64, an IPv4 address also if it is written as an
   * IPv6 address.
   *
   * @param peer null if it is unknown
   * @returns null for an exempt or an unknown address
   */
  of(peer: string | null): string | null {
    const address = peer === null ? null : parsed(peer);
    if (address === null || this.#isExempt(address)) {
      return null;
    }
    const text = address.toNormalizedString();
    return address.kind() === "ipv4" ? text : text.split(":").slice(0, NETWORK_GROUPS).join(":");
  }

  #isExempt(address: Address): boolean {
    return this.#exempt.some(
      ([range, bits]) => range.kind() === address.kind() && address.match(range, bits),
    );
  }
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
