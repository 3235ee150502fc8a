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

/** A text that is not empty. */
function text(longest: number) {
  const error = `a text of 1 to ${longest} characters`;
  return z.string({ error }).min(1, { error }).max(longest, { error });
}

/** An IP address or a network of them. */
function address() {
  const error = "an IP address, or a network such as 198.51.100.0/24";
  return z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error });
}

/** IP addresses and networks. */
function addresses(entry: z.ZodType<string>) {
  return z.array(entry, { error: "a list of IP addresses" }).max(100, { error: "100 addresses at most" });
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

/** An origin as a browser sends it, or the same with `*.` before a name of two parts at least. No path, no wildcard else. */
const ORIGIN_PATTERN =
  /^https?:\/\/(?:\*\.(?=[^.]+\.))?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;

/** A name of a host, the same after `*.`, or `*`. No port: it is the listener's own. */
const HOST_PATTERN = /^(?:\*|(?:\*\.)?[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*)$/;

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
    .superRefine(reportRepeated("each channel once"))
    .default(["default"]),
});

/** How much of the past a channel keeps: what a client can catch up on. The first bound that is reached trims. */
const history = section({
  /** The most events that are kept. From 1 to 10,000,000. Default 100,000. */
  max_events: integer(1, 10_000_000).default(100_000),

  /** The age in seconds at which an event is let go. From 1 to 31,536,000 (365 days). Default 86,400 (a day). */
  max_age_seconds: integer(1, 31_536_000).default(86_400),

  /**
   * The most bytes of events that are kept: their texts, and 64 bytes for each event. The file of a channel is up to a
   * third larger, and does not shrink. From 1024 to 8,589,934,592 (8 GiB: an object's storage ends at 10 GB).
   * Default 1,073,741,824 (1 GiB).
   */
  max_bytes: integer(1024, 8 * 1024 ** 3).default(1024 ** 3),
});

/** Whom a group of routes lets in, in the words of config.yaml: one of them, or a list. The errors complete "expected ...". */
function accepted<const Words extends readonly [string, ...string[]]>(words: Words) {
  const error = `${words.join(", ")}, or a list of them`;
  return z
    .union([z.enum(words), z.array(z.enum(words)).min(1, { error })], { error })
    .transform((one) => [one].flat())
    .superRefine((list, context) => {
      if (new Set(list).size < list.length || (list.length > 1 && list.includes("public"))) {
        context.addIssue({ code: "custom", message: `${error}: each once, and public alone` });
      }
    });
}

/** Members of a JWK that only its owner may have. Source: RFC 7518, sections 6.2.2, 6.3.2 and 6.4. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** A public key as a JWK. Source: RFC 7517, section 4. */
const publicKey = z
  .looseObject(
    { kty: word(["RSA", "EC", "OKP"]), kid: text(200).optional() },
    { error: "a public key as a JWK" },
  )
  .superRefine((key, context) => {
    // Said of the whole key: a mistake is shown with its value, and this one is a secret.
    for (const name of PRIVATE_MEMBERS.filter((member) => Object.hasOwn(key, member))) {
      context.addIssue({ code: "custom", message: `a public key, without the secret member ${name}` });
    }
  });

/** Which JSON Web Tokens are accepted. */
const jwt = section({
  /**
   * The algorithm of every token: `HS256` with the secret `JWT_SECRET`, or `RS256`, `ES256` or `EdDSA` with a key set.
   * A token of another one is refused, whatever it says of itself. Default `HS256`.
   */
  algorithm: word(["HS256", "RS256", "ES256", "EdDSA"]).default("HS256"),

  /**
   * Where the key set is fetched, as a JWK Set (RFC 7517, section 5). Kept for 10 minutes; fetched again for a `kid` that
   * it does not have, every 30 s at most. https, or http on this machine. Default none.
   */
  jwks_url: text(2_048)
    .refine(isKeySetUrl, { error: "an https URL without credentials, or http on this machine" })
    .optional(),

  /** The key set itself, instead of its URL: up to 20 public keys. Default none. */
  jwks: section({
    keys: z.array(publicKey, { error: "a list of public keys" }).min(1).max(20),
  }).optional(),

  /** What `aud` must name. Without it a token that names anybody is refused (RFC 7519, section 4.1.3). Default none. */
  audience: text(200).optional(),

  /** What `iss` must be. Default none: not looked at. */
  issuer: text(200).optional(),

  /** Seconds by which clocks may differ, where `exp` and `nbf` are checked. From 0 to 60. Default 5. */
  clock_skew_seconds: integer(0, 60).default(5),

  /** The claim that holds what a token grants: see PROTOCOL.md. Default `edge_sse`. */
  claim: text(200).default("edge_sse"),
});

/**
 * Who is let in. Each group of routes says what it accepts: `public` (anybody), `token` (the secret of the group), `jwt`,
 * or a list of the last two. What a deployment lacks, a secret or a key, closes the group; it does not open it.
 */
const auth = section({
  /** `POST /api/publish`: the secret `PUBLISH_TOKEN`. Default `token`. */
  publish: accepted(["token", "jwt"]).prefault("token"),

  /** `/api/events` and `/api/history`: the secret `SUBSCRIBE_TOKEN`. Default `public`. */
  subscribe: accepted(["public", "token", "jwt"]).prefault("public"),

  /** `/api/admin/*`: the secret `ADMIN_TOKEN`. Default `token`. */
  admin: accepted(["token", "jwt"]).prefault("token"),

  /** `/metrics`, and the numbers in `/health`: the secret `METRICS_TOKEN`. Default `public`. */
  metrics: accepted(["public", "token", "jwt"]).prefault("public"),

  jwt: jwt.prefault({}),
}).superRefine(({ jwt: { algorithm, jwks, jwks_url }, ...groups }, context) => {
  const takesJwt = Object.values(groups).some((list) => list.includes("jwt"));
  const sources = [jwks, jwks_url].filter((source) => source !== undefined).length;
  if (algorithm === "HS256" ? sources > 0 : takesJwt && sources !== 1) {
    const message = algorithm === "HS256" ? "no key set with HS256" : "one key set: jwks_url or jwks";
    context.addIssue({ code: "custom", path: ["jwt"], message });
  }
});

/** Which pages of other origins may use the service. */
const cors = section({
  /**
   * Origins (`https://app.example.com`), or all direct and indirect subdomains of a name (`https://*.example.com`). Only
   * these get CORS headers, and with them credentials; and only with these a cookie counts that comes with an `Origin`.
   * At most 100, none twice. Default none.
   */
  allowed_origins: z
    .array(
      z.string().refine(isOrigin, {
        error: "an origin, such as https://app.example.com or https://*.example.com",
      }),
      {
        error: "a list of origins",
      },
    )
    .max(100, { error: "100 origins at most" })
    .superRefine(reportRepeated("each origin once"))
    .default([]),
});

/** By which names the service of `npm start` is reached. On the edge the platform knows the names of a Worker. */
const hosts = section({
  /**
   * Names beside IP addresses, `localhost`, names below it and the one of `--host`: the one that a proxy in front sends
   * (`sse.example.com`), all direct and indirect subdomains of a name (`*.example.com`), or `"*"` for any name. A request
   * by another name is 400, since a page of anybody can make a name of its own lead to this machine (DNS rebinding). At
   * most 100, none twice. Default none.
   */
  allowed: z
    .array(
      z.string().regex(HOST_PATTERN, {
        error: 'a name of a host in lower case, such a name after *., or "*"',
      }),
      { error: "a list of names of hosts" },
    )
    .max(100, { error: "100 names at most" })
    .superRefine(reportRepeated("each name once"))
    .default([]),
});

/** What a stream, an address or a token may use up. */
const limits = section({
  /**
   * Seconds after which a stream is ended, to be resumed at once and without loss: each one at 80 to 100 % of it. It
   * moves clients to the new code after a deploy. From 1 to 86,400; 0 turns it off. Default 1800.
   */
  max_stream_age_seconds: integer(0, 86_400).default(1800),

  /**
   * How many streams of one channel an address may hold at a time; the next one is refused with 429. An IPv6 address
   * counts with its whole /64. From 1 to 1000; 0 turns it off. Default 20, a fifth of a default channel: two or three
   * hostile addresses cannot fill it, and an office behind one address still fits.
   */
  max_connections_per_address: integer(0, 1_000).default(20),

  /**
   * How many streams of one channel an address may ask for in a minute; then it is refused with 429 until the minute is
   * over. From 1 to 100,000; 0 turns it off. Default 600.
   */
  max_connects_per_minute_per_address: integer(0, 100_000).default(600),

  /**
   * How many requests an address may make in a minute, over all channels and routes together; then it is refused with
   * 429 until the minute is over. Publishes and administration count only when they are refused for their credentials.
   * From 1 to 1,000,000; 0 turns it off. Default 1200: ten browsers that each ask twice a second.
   */
  max_requests_per_minute_per_address: integer(0, 1_000_000).default(1_200),

  /**
   * How many channels an address may bring into being in an hour by streaming from names that nobody has used; then it
   * is refused with 429 `too_many_channels`. Channels that exist do not count. From 1 to 100,000; 0 turns it off.
   * Default 20.
   */
  max_new_channels_per_hour_per_address: integer(0, 100_000).default(20),

  /**
   * How many channels may exist only because somebody streams from them; then a stream from a new name is refused with
   * 503 `channels_full`. One that nobody has published to is forgotten 10 minutes after its last client. Each holds an
   * object in memory: 1000 of them need about 200 MB. From 1 to 1,000,000; cannot be turned off. Default 1000.
   */
  max_unpublished_channels: integer(1, 1_000_000).default(1_000),

  /**
   * How many channels a token may bring into being in an hour by publishing to them; then it is refused with 429
   * `too_many_channels`. From 1 to 10,000,000; 0 turns it off. Default 10,000.
   */
  max_new_channels_per_hour_per_token: integer(0, 10_000_000).default(10_000),

  /**
   * How many publishes a token may make in a channel and minute; then it is refused with 429 until the minute is over.
   * A batch is one. From 1 to 10,000,000; 0 turns it off. Default 0.
   */
  max_publishes_per_minute_per_token: integer(0, 10_000_000).default(0),

  /**
   * Addresses and networks (`198.51.100.0/24`) to which the limits per address do not apply. At most 100. Default this
   * machine's: 127.0.0.0/8 and ::1.
   */
  exempt_addresses: addresses(address()).default(["127.0.0.0/8", "::1"]),

  /**
   * Addresses and networks of your own reverse proxies. If a request comes from one of them, the last address in its
   * `X-Forwarded-For` that is not a proxy is the client's, and the limits per address count by that one. A proxy that
   * is not in the list is itself the client. At most 100; not every address, since then any client could choose the
   * address that it is counted by. Default none: `X-Forwarded-For` is ignored.
   */
  trusted_proxies: addresses(
    address().refine((network) => !network.endsWith("/0"), {
      error: "the addresses of your own proxies, not every address",
    }),
  ).default([]),
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
  auth: auth.prefault({}),
  cors: cors.prefault({}),
  hosts: hosts.prefault({}),
  logging: logging.prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type AuthConfig = Config["auth"];
export type JwtConfig = AuthConfig["jwt"];
export type CorsConfig = Config["cors"];

function reportRepeated(message: string) {
  return (entries: readonly string[], context: z.core.$RefinementCtx<string[]>) => {
    for (const [index, entry] of entries.entries()) {
      if (entries.indexOf(entry) < index) {
        context.addIssue({ code: "custom", path: [index], message });
      }
    }
  };
}

/** With the port of its scheme, or another spelling, no browser sends it: it would allow nobody, in silence. */
function isOrigin(value: string): boolean {
  const example = value.replace("*.", "any.");
  return ORIGIN_PATTERN.test(value) && URL.canParse(example) && new URL(example).origin === example;
}

/** A key set that comes over an open wire could be anybody's. */
function isKeySetUrl(value: string): boolean {
  if (!URL.canParse(value)) {
    return false;
  }
  const { protocol, hostname, username, password, hash } = new URL(value);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const isPlain = username === "" && password === "" && hash === "";
  return isPlain && (protocol === "https:" || (protocol === "http:" && isLocal));
}
