import { integer, section } from "./parts.ts";

/** Streams. */
export const sse = section({
  /**
   * Seconds of silence after which a client gets a heartbeat: at least this long, at most a quarter longer. Heartbeats
   * keep proxies from closing the stream, and they detect clients that are gone. From 1 to 300; cannot be turned off.
   * Default 30, half of the 60 s after which nginx closes a silent connection by default.
   */
  heartbeat_interval_seconds: integer(1, 300).default(30),

  /**
   * The most clients that a channel has at a time. The next one is refused with 503 and `Retry-After`. Above
   * `limits.clients_per_object`, relays hold the clients. From 1 to 1,000,000. Default 100.
   */
  max_connections: integer(1, 1_000_000).default(100),

  /**
   * Seconds for which a client may leave its oldest pending bytes unread. Then it is dropped. Time with nothing to send
   * does not count. From 1 to 3600; cannot be turned off, because the bytes wait in memory. Default 60.
   */
  connection_timeout_seconds: integer(1, 3600).default(60),

  /**
   * Seconds that a client waits before it comes back: the `Retry-After` of a 503, and the `retry:` field of a stream.
   * From 1 to 3600. Default 5.
   */
  retry_after_seconds: integer(1, 3600).default(5),
});
