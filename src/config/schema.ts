/**
 * What config.yaml may say: every key, its meaning, its limits and its default. Nothing else repeats them.
 *
 * Only the compiler runs this file. The Worker imports its types (`import type`), so zod stays out of the bundle.
 */
import { z } from "zod";

/** A whole number between two bounds, both included. The error completes the sentence "expected ...". */
function integer(least: number, most: number) {
  const error = `an integer from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** One of a few words. */
function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

/** A group of keys. Every one of them has a default, so the whole section may be left out. */
function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, { error: "a mapping of keys to values" });
}

/** A name of a channel; a prefix of names, ending in `*`; or `*` alone, which is every name. */
const channelPattern = z
  .string({ error: 'a channel name, a prefix ending in *, or "*"' })
  .regex(/^(?:\*|[a-z0-9][a-z0-9_-]{0,63}\*?)$/, {
    error: 'a channel name ([a-z0-9][a-z0-9_-]{0,63}), such a prefix ending in *, or "*"',
  });

/** How streams are held. */
const sse = section({
  /**
   * Seconds of silence after which a client gets a heartbeat: at least this long and at most a quarter longer.
   * It keeps proxies from cutting the stream and finds the clients that are gone. From 1 to 300; cannot be turned
   * off. Default 30: proxies on the way cut after 100 s and more.
   */
  heartbeat_interval_seconds: integer(1, 300).default(30),

  /**
   * How many clients one channel holds at a time. The next one is refused with 503 and `Retry-After`.
   * From 1 to 1000: one object holds them all. Default 100.
   */
  max_connections: integer(1, 1000).default(100),

  /**
   * Seconds that a client may leave its oldest pending bytes unread before it is dropped. Time with nothing to send
   * does not count. From 1 to 3600; cannot be turned off, since the bytes wait in memory. Default 60.
   */
  connection_timeout_seconds: integer(1, 3600).default(60),

  /**
   * Seconds that a refused or closed client waits before it comes back: the `Retry-After` of a 503 and the `retry:`
   * field of a stream. From 1 to 3600. Default 5.
   */
  retry_after_seconds: integer(1, 3600).default(5),
});

/** Which channels exist. */
const channels = section({
  /**
   * Names (`default`), prefixes (`board-*`) or `"*"` for every valid name. Any other channel answers 404 and creates
   * nothing. At least one entry, none twice. Default `[default]`, the channel of a request that names none.
   */
  allowed: z
    .array(channelPattern, { error: "a list of channel names" })
    .min(1, { error: "a list of at least one channel name" })
    .superRefine(reportRepeated)
    .default(["default"]),
});

/** How much of the past a channel keeps: what a client can catch up on. The first bound that is reached trims. */
const history = section({
  /** The most events that are kept. From 1 to 10,000,000. Default 100,000. */
  max_events: integer(1, 10_000_000).default(100_000),

  /** The age in seconds at which an event is let go. From 1 to 31,536,000 (365 days). Default 86,400 (a day). */
  max_age_seconds: integer(1, 31_536_000).default(86_400),

  /**
   * The most bytes of events that are kept. From 1024 to 8,589,934,592 (8 GiB: an object's storage ends at 10 GB).
   * Default 1,073,741,824 (1 GiB).
   */
  max_bytes: integer(1024, 8 * 1024 ** 3).default(1024 ** 3),
});

/** What a stream may use up. */
const limits = section({
  /**
   * Seconds after which a stream is ended, to be resumed at once and without loss: each one at 80 to 100 % of it. It
   * moves clients to the new code after a deploy. From 1 to 86,400; 0 turns it off. Default 1800.
   */
  max_stream_age_seconds: integer(0, 86_400).default(1800),
});

/** What the service writes into its log: one line of JSON each. */
const logging = section({
  /**
   * The least that is logged: `debug`, `info` (clients that come and go), `warn` (refusals, dropped clients) or
   * `error` (what broke). Default `info`.
   */
  level: word(["debug", "info", "warn", "error"]).default("info"),
});

/** The whole of config.yaml. An empty file is valid and means all the defaults. */
export const configSchema = section({
  sse: sse.prefault({}),
  channels: channels.prefault({}),
  history: history.prefault({}),
  limits: limits.prefault({}),
  logging: logging.prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type SseConfig = Config["sse"];
export type ChannelsConfig = Config["channels"];
export type HistoryConfig = Config["history"];
export type LimitsConfig = Config["limits"];
export type LoggingConfig = Config["logging"];

function reportRepeated(entries: string[], context: z.core.$RefinementCtx<string[]>) {
  for (const [index, entry] of entries.entries()) {
    if (entries.indexOf(entry) < index) {
      context.addIssue({ code: "custom", path: [index], message: "each channel once" });
    }
  }
}
