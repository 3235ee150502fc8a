import { integer, section } from "./parts.ts";

/** Relays: the objects that hold the clients of a large channel. Used only above `limits.clients_per_object`. */
export const relays = section({
  /**
   * The most relays of one channel, over all regions. Each relay with clients is billed as an object that is always
   * awake. From 1 to 2000. Default 100. Regions fill their relays separately, so leave one for each region beyond
   * `sse.max_connections / limits.clients_per_object`.
   */
  max: integer(1, 2_000).default(100),

  /**
   * The most recent events that a relay keeps in memory. Clients that need older events make it ask the hub. From 100
   * to 100,000. Default 16,384.
   */
  tail_events: integer(100, 100_000).default(16_384),

  /** The most bytes of events that a relay keeps in memory. From 65,536 to 33,554,432 (32 MiB). Default 8,388,608. */
  tail_bytes: integer(65_536, 32 * 1024 ** 2).default(8 * 1024 ** 2),
});
