import ipaddr from "ipaddr.js";

/** Characters of an IP address. */
const ADDRESS_LENGTH = 45;

type Address = ReturnType<typeof ipaddr.process>;

/** Groups of an IPv6 address that say whose it is: one subscriber has the whole /64. */
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
   * The address to count by: an IPv6 one by its /64, an IPv4 one inside an IPv6 one as itself.
   *
   * @param peer null: not known
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
