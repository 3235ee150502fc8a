import { describe, expect, it } from "vitest";

import { Addresses } from "../../../../src/service/request/address.ts";
import { MemoryService } from "../../../support/service/memory-service.ts";

const PROXY = "10.0.0.2";
const CLIENT = "203.0.113.7";

/** The address that the limits count for a peer, behind a proxy at 10.0.0.2 and a network of proxies. */
function counted(peer: string | null, forwarded: string | null): string | null {
  const trusted = [PROXY, "192.0.2.0/24", "2001:db8:9::/48"];
  return new Addresses({ exempt: ["127.0.0.0/8"], trusted }).of(peer, forwarded);
}

async function statusOf(service: MemoryService, forwarded: string): Promise<number> {
  return (await service.send("/health", { headers: { "X-Forwarded-For": forwarded } })).status;
}

describe("the address of a client behind a trusted proxy", () => {
  it("is the one that the proxy forwards", () => {
    expect(counted(PROXY, CLIENT)).toBe(CLIENT);
    expect(counted(PROXY, "2001:db8:1:2::1")).toBe("2001:db8:1:2");
    expect(counted("2001:db8:9::1", CLIENT)).toBe(CLIENT);
    expect(counted("::ffff:10.0.0.2", CLIENT)).toBe(CLIENT);
  });

  it("is the last one of the list that is not a proxy: a client can write only to the left of it", () => {
    expect(counted(PROXY, `127.0.0.1, 198.51.100.1, ${CLIENT}`)).toBe(CLIENT);
    expect(counted(PROXY, `198.51.100.1, ${CLIENT}, 192.0.2.5, ${PROXY}`)).toBe(CLIENT);
  });

  it.each(["203.0.113.7:52100", " 203.0.113.7\t", "::ffff:203.0.113.7", "[::ffff:203.0.113.7]:52100"])(
    "is read in every spelling that proxies use: %j",
    (forwarded) => {
      expect(counted(PROXY, forwarded)).toBe(CLIENT);
    },
  );

  it("can be exempt", () => {
    expect(counted(PROXY, "127.0.0.1")).toBeNull();
  });

  it.each([
    null,
    "",
    " ",
    ",",
    "unknown",
    "_hidden",
    "a".repeat(20_000),
    "203.0.113.7:52100:1",
    "[203.0.113.7",
  ])("is the proxy's own if it forwards none: %j", (forwarded) => {
    expect(counted(PROXY, forwarded)).toBe(PROXY);
  });

  it("is the last proxy before an entry that is not an address", () => {
    expect(counted(PROXY, `${CLIENT}, unknown, 192.0.2.5`)).toBe("192.0.2.5");
  });

  it("is the first of a list of proxies alone", () => {
    expect(counted(PROXY, "192.0.2.6, 192.0.2.5")).toBe("192.0.2.6");
  });

  it("is looked for behind ten proxies and no more: a longer list costs nothing", () => {
    const proxies = Array.from({ length: 10 }, (_, n) => `192.0.2.${n + 1}`);
    expect(counted(PROXY, [CLIENT, ...proxies.slice(1)].join(","))).toBe(CLIENT);
    expect(counted(PROXY, [CLIENT, ...proxies].join(","))).toBe("192.0.2.1");
  });
});

describe("the address of a client without a trusted proxy", () => {
  it.each(["203.0.113.9", "10.0.0.3", "192.0.3.1"])("is never what the client forwards: %s", (peer) => {
    expect(counted(peer, CLIENT)).toBe(peer);
    expect(counted(peer, PROXY)).toBe(peer);
  });

  it("stays unknown if the peer is unknown", () => {
    expect(counted(null, CLIENT)).toBeNull();
  });

  it("is the peer's by default, whatever it forwards", () => {
    const addresses = new Addresses({ exempt: [], trusted: [] });
    expect(addresses.of("127.0.0.1", CLIENT)).toBe("127.0.0.1");
  });
});

describe("the budget of an address", () => {
  it("is each client's own behind a trusted proxy, and cannot be escaped by a forged entry", async () => {
    const limits = { max_requests_per_minute_per_address: 1, trusted_proxies: ["198.51.100.1"] };
    const service = new MemoryService({ config: { limits } });
    expect(await statusOf(service, CLIENT)).toBe(200);
    expect(await statusOf(service, "203.0.113.8")).toBe(200);
    expect(await statusOf(service, `192.0.2.77, ${CLIENT}`)).toBe(429);
  });

  it("is one for all clients behind a proxy that is not trusted", async () => {
    const service = new MemoryService({ config: { limits: { max_requests_per_minute_per_address: 1 } } });
    expect(await statusOf(service, CLIENT)).toBe(200);
    expect(await statusOf(service, "203.0.113.8")).toBe(429);
  });
});
