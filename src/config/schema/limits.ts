import { z } from "zod";

import { integer, section } from "./parts.ts";

/** Limits for an object, a stream, an address or a token. */
export const limits = section({
  /**
   * The most streams that one Durable Object holds. A channel that may have more clients (`sse.max_connections`) spreads
   * them over relays. One object serves its streams one after the other, so fewer of them get their events sooner. From
   * 10 to 1000. Default 1000. On Deno, each process holds as many streams as there are.
   */
  clients_per_object: integer(10, 1_000).default(1_000),

  /**
   * The age in seconds at which a stream ends. Each stream ends at 80 to 100 % of it, and its client resumes without
   * loss. This moves clients to the new code after a deploy. From 1 to 86,400; 0 turns it off. Default 1800.
   */
  max_stream_age_seconds: integer(0, 86_400).default(1800),

  /**
   * The most streams that an address may have open in a channel. The next one is refused with 429. An IPv6 address
   * counts with its whole /64. From 1 to 1000; 0 turns it off. Default 20, a fifth of the clients of a channel by
   * default: two or three hostile addresses cannot fill the channel, and an office behind one address still fits.
   */
  max_connections_per_address: integer(0, 1_000).default(20),

  /**
   * The most streams that an address may open in a channel in a minute. Then it is refused with 429 until the minute is
   * over. From 1 to 100,000; 0 turns it off. Default 600.
   */
  max_connects_per_minute_per_address: integer(0, 100_000).default(600),

  /**
   * The most requests that an address may send in a minute, to all channels and routes together. Then it is refused
   * with 429 until the minute is over. Publishing and administration count only if their credentials are refused.
   * From 1 to 1,000,000; 0 turns it off. Default 1200: enough for ten browsers that each send two requests a second.
   */
  max_requests_per_minute_per_address: integer(0, 1_000_000).default(1_200),

  /**
   * The most channels that an address may create in an hour by streaming from them. Then a stream from a new channel
   * is refused with 429 `too_many_channels`. Existing channels do not count. From 1 to 100,000; 0 turns it off.
   * Default 20.
   */
  max_new_channels_per_hour_per_address: integer(0, 100_000).default(20),

  /**
   * The most channels that may exist without ever having been published to. Then a stream from a new channel is refused
   * with 503 `channels_full`. Such a channel is deleted 10 minutes after its last client left. Each has an object in
   * memory: 1000 of them need about 200 MB. From 1 to 1,000,000; cannot be turned off. Default 1000.
   */
  max_unpublished_channels: integer(1, 1_000_000).default(1_000),

  /**
   * The most channels that a token may create in an hour by publishing to them. Then a publish to a new channel is
   * refused with 429 `too_many_channels`. From 1 to 10,000,000; 0 turns it off. Default 10,000.
   */
  max_new_channels_per_hour_per_token: integer(0, 10_000_000).default(10_000),

  /**
   * The most publishes that a token may make to a channel in a minute. Then it is refused with 429 until the minute is
   * over. A batch counts as one. From 1 to 10,000,000; 0 turns it off. Default 0.
   */
  max_publishes_per_minute_per_token: integer(0, 10_000_000).default(0),

  /**
   * Addresses and networks (`198.51.100.0/24`) to which the limits per address do not apply. At most 100. Default
   * 127.0.0.0/8 and ::1, which are this machine.
   */
  exempt_addresses: addresses(address()).default(["127.0.0.0/8", "::1"]),

  /**
   * Addresses and networks of your own reverse proxies. If a request comes from one of them, the last address in its
   * `X-Forwarded-For` that is not in this list is the client's, and the limits per address count that one. Otherwise
   * `X-Forwarded-For` is ignored. At most 100. A network of all addresses is refused, because any client could then
   * choose its address. Default none.
   */
  trusted_proxies: addresses(
    address().refine((network) => !network.endsWith("/0"), {
      error: "the addresses of your own proxies, not every address",
    }),
  ).default([]),
});

/** An IP address or a network of them. */
function address() {
  const error = "an IP address or a network such as 198.51.100.0/24";
  return z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error });
}

/** A list of IP addresses and networks. */
function addresses(entry: z.ZodType<string>) {
  const error = "a list of IP addresses and networks";
  return z.array(entry, { error }).max(100, { error: "at most 100 addresses and networks" });
}
