import { describe, expect, it } from "vitest";

import { peerOf } from "../../../../src/edge/peer.ts";
import { Addresses } from "../../../../src/service/request/address.ts";

const ADDRESSES = new Addresses({ exempt: ["127.0.0.0/8", "::1"], trusted: [] });

function onEdge(address: string | null, addresses = ADDRESSES): string | null {
  const headers = new Headers(address === null ? {} : { "CF-Connecting-IP": address });
  return addresses.of(peerOf({ headers }, false), null);
}

function onThisMachine(clientIp: unknown, headers: Record<string, string> = {}): string | null {
  const request = { headers: new Headers(headers), cf: { clientIp } };
  return ADDRESSES.of(peerOf(request, true), request.headers.get("X-Forwarded-For"));
}

function exempting(address: string) {
  return new Addresses({ exempt: [address], trusted: [] });
}

describe("the key by which the limits count an address", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:DB8:1:2::", "2001:db8:1:2"],
    ["2001:db8:1:2::1", "2001:db8:1:2"],
    ["2001:0db8:0001:0002:0000:0000:0000:0001", "2001:db8:1:2"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["::2", "0:0:0:0"],
    ["::", "0:0:0:0"],
  ])("of %s is %s", (address, counted) => {
    expect(onEdge(address)).toBe(counted);
    expect(onThisMachine(address.includes(":") ? `[${address}]:4711` : `${address}:4711`)).toBe(counted);
  });

  it.each(["::ffff:203.0.113.7", "::FFFF:203.0.113.7", "::ffff:cb00:7107", "0:0:0:0:0:ffff:cb00:7107"])(
    "of an IPv4 address in an IPv6 address is the IPv4 address: %s",
    (address) => {
      expect(onEdge(address)).toBe("203.0.113.7");
      expect(onThisMachine(`[${address}]:4711`)).toBe("203.0.113.7");
    },
  );

  it("is the same within a /64, and differs between neighbours", () => {
    expect(onEdge("2001:db8:1:2::1")).toBe(onEdge("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(onEdge("2001:db8:1:2::1")).not.toBe(onEdge("2001:db8:1:3::1"));
    expect(onEdge("203.0.113.7")).not.toBe(onEdge("203.0.113.8"));
  });

  it.each(["127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1"])(
    "is null for an exempt address in any spelling: %s",
    (address) => {
      expect(onEdge(address)).toBeNull();
      expect(onThisMachine(`[${address}]:4711`)).toBeNull();
    },
  );

  it("is null for an exempt address, and not for the rest of its network", () => {
    expect(onEdge("2001:db8:0:0::7", exempting("2001:DB8::7"))).toBeNull();
    expect(onEdge("2001:db8::8", exempting("2001:db8::7"))).toBe("2001:db8:0:0");
    expect(onEdge("203.0.113.7", exempting("::ffff:203.0.113.7"))).toBeNull();
  });

  it("is null from the first to the last address of an exempt network", () => {
    const office = exempting("198.51.100.64/26");
    expect(["198.51.100.64", "198.51.100.127"].map((each) => onEdge(each, office))).toEqual([null, null]);
    expect(onEdge("198.51.100.63", office)).not.toBeNull();
    expect(onEdge("198.51.100.128", office)).not.toBeNull();
    expect(onEdge("2001:db8:1:2::1", exempting("2001:db8:1::/48"))).toBeNull();
    expect(onEdge("2001:db8:2:2::1", exempting("2001:db8:1::/48"))).toBe("2001:db8:2:2");
    expect(onEdge("2001:db8::1", exempting("0.0.0.0/0"))).toBe("2001:db8:0:0");
  });

  it.each([null, "", "not an address", "1.2.3.4.5:6"])("is null for %j", (address) => {
    expect(onEdge(address)).toBeNull();
  });

  it.each([undefined, null, 7, "", "[]:1", "unix:/run/socket"])(
    "is null for other kinds of sockets: %j",
    (clientIp) => {
      expect(onThisMachine(clientIp)).toBeNull();
    },
  );

  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2::1", "2001:db8:1:2"],
    ["[2001:db8:1:2::1]", "2001:db8:1:2"],
  ])("needs no port in the address of the socket: %s", (clientIp, counted) => {
    expect(onThisMachine(clientIp)).toBe(counted);
  });

  it("ignores what clients say about themselves", () => {
    const forged = { "CF-Connecting-IP": "203.0.113.7", "X-Forwarded-For": "203.0.113.8" };
    expect(onThisMachine("198.51.100.1:4711", forged)).toBe("198.51.100.1");
    const headers = new Headers({ "X-Forwarded-For": "203.0.113.8", "X-Real-IP": "203.0.113.8" });
    const peer = peerOf({ headers, cf: { clientIp: "203.0.113.9:1" } }, false);
    expect(ADDRESSES.of(peer, headers.get("X-Forwarded-For"))).toBeNull();
  });
});
