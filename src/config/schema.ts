/**
 * Every key of config.yaml with its meaning, its bounds and its default. No other code repeats them.
 *
 * Only the compiler runs this file. The Worker imports nothing but its types, so that zod stays out of the bundle.
 */
import { z } from "zod";

import { RESERVED_NAMES } from "./reserved-names.ts";

/** An integer between two bounds, both included. The error completes the sentence "expected ...". */
function integer(least: number, most: number) {
  const error = `an integer from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

function text(longest: number) {
  const error = `a string of 1 to ${longest} characters`;
  return z.string({ error }).min(1, { error }).max(longest, { error });
}

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

/** A group of keys. Every key has a default, so the whole section may be left out. */
function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, { error: "a mapping of keys to values" });
}

/** A channel name, a prefix ending in `*`, or `*` for every name. */
const channelPattern = z
  .string({ error: 'a channel name, a prefix ending in *, or "*"' })
  .regex(/^(?:\*|[a-z0-9][a-z0-9_-]{0,63}\*?)$/, {
    error: 'a channel name ([a-z0-9][a-z0-9_-]{0,63}), a prefix of one ending in *, or "*"',
  });

/** An origin as a browser sends it, or one with `*.` before a domain of at least two labels. It has no path. */
const ORIGIN_PATTERN =
  /^https?:\/\/(?:\*\.(?=[^.]+\.))?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;

/** A host name, one with `*.` before it, or `*`. It has no port, because the port is that of the listener. */
const HOST_PATTERN = /^(?:\*|(?:\*\.)?[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*)$/;

/** Streams. */
const sse = section({
  /**
   * Seconds of silence after which a client gets a heartbeat: at least this long, at most a quarter longer. Heartbeats
   * keep proxies from closing the stream, and they detect clients that are gone. From 1 to 300; cannot be turned off.
   * Default 30, half of the 60 s after which nginx closes a silent connection by default.
   */
  heartbeat_interval_seconds: integer(1, 300).default(30),

  /**
   * The most clients that a channel has at a time. The next one is refused with 503 and `Retry-After`. From 1 to 1000,
   * because one object serves them all. Default 100.
   */
  max_connections: integer(1, 1000).default(100),

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

/** Channels. */
const channels = section({
  /**
   * The channels that may be used: names (`default`), prefixes (`board-*`), or `"*"` for every valid name. A request
   * for any other channel is answered with 404 and creates nothing. At least one entry. Default `[default]`, which is
   * also the channel of a request that names none.
   */
  allowed: z
    .array(channelPattern, { error: "a list of channel names" })
    .min(1, { error: "a list of at least one channel name" })
    .superRefine(reportRepeated("a channel that is not in the list yet"))
    .default(["default"]),
});

/** The fields of events that streams can be filtered by. */
const filters = section({
  /**
   * The fields that streams, the history and grants can select events by. Each is a query parameter, and a member of an
   * event beside `type`. Stored events keep the fields that they were published with: a field that is added here is found
   * in new events only. At most 8. Default `[project_id, agent_id]`.
   */
  fields: z
    .array(
      z
        .string({ error: "the name of a field" })
        .regex(/^[a-z][a-z0-9_]{0,31}$/, { error: "a field name ([a-z][a-z0-9_]{0,31})" })
        .refine((name) => !RESERVED_NAMES.has(name), {
          error: "a field name that no parameter and no member of an event has",
        }),
      { error: "a list of field names" },
    )
    .max(8, { error: "at most 8 field names" })
    .superRefine(reportRepeated("a field that is not in the list yet"))
    .default(["project_id", "agent_id"]),

  /**
   * Query parameters of the stream and the history that are ignored, because a library adds them to its requests. Any other
   * unknown parameter is refused with 400, so that a misspelt filter does not go unnoticed. At most 20. Default
   * `[datastar]`.
   */
  ignored_parameters: z
    .array(
      z
        .string({ error: "the name of a parameter" })
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, {
          error: "the name of a parameter ([A-Za-z_][A-Za-z0-9_.-]{0,63})",
        })
        .refine((name) => !RESERVED_NAMES.has(name), { error: "a parameter that the service does not know" }),
      { error: "a list of parameter names" },
    )
    .max(20, { error: "at most 20 parameter names" })
    .superRefine(reportRepeated("a parameter that is not in the list yet"))
    .default(["datastar"]),
}).superRefine(({ fields, ignored_parameters }, context) => {
  for (const [index, name] of ignored_parameters.entries()) {
    if (fields.includes(name)) {
      const path = ["ignored_parameters", index];
      context.addIssue({ code: "custom", path, message: "a parameter that is not one of the fields" });
    }
  }
});

/** How much history a channel keeps for clients to catch up on. Whichever bound is reached first trims the log. */
const history = section({
  /** The most events that a channel keeps. From 1 to 10,000,000. Default 100,000. */
  max_events: integer(1, 10_000_000).default(100_000),

  /** The age in seconds at which an event is deleted. From 1 to 31,536,000 (365 days). Default 86,400 (1 day). */
  max_age_seconds: integer(1, 31_536_000).default(86_400),

  /**
   * The most bytes of events that a channel keeps: their text, plus 64 bytes for each event. The database file of a
   * channel is up to a third larger and never shrinks. From 1024 to 8,589,934,592 (8 GiB, because the platform gives an
   * object 10 GB). Default 1,073,741,824 (1 GiB).
   */
  max_bytes: integer(1024, 8 * 1024 ** 3).default(1024 ** 3),
});

/** What a group of routes accepts: one word, or a list of them. */
function accepted<const Words extends readonly [string, ...string[]]>(words: Words) {
  const error = `${words.join(", ")}, or a list of them`;
  return z
    .union([z.enum(words), z.array(z.enum(words)).min(1, { error })], { error })
    .transform((one) => [one].flat())
    .superRefine((list, context) => {
      if (new Set(list).size < list.length || (list.length > 1 && list.includes("public"))) {
        const alone = words.includes("public") ? ", and public only by itself" : "";
        context.addIssue({ code: "custom", message: `${error} without repetition${alone}` });
      }
    });
}

/** Members of a JWK that must stay private. Source: RFC 7518, sections 6.2.2, 6.3.2 and 6.4. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** A public key as a JWK. Source: RFC 7517, section 4. */
const publicKey = z
  .looseObject(
    { kty: word(["RSA", "EC", "OKP"]), kid: text(200).optional() },
    { error: "a public key as a JWK" },
  )
  .superRefine((key, context) => {
    // The mistake is reported for the whole key: a report for the member would print the secret.
    for (const name of PRIVATE_MEMBERS.filter((member) => Object.hasOwn(key, member))) {
      context.addIssue({ code: "custom", message: `a public key, without the private member ${name}` });
    }
  });

/** JSON Web Tokens. */
const jwt = section({
  /**
   * The only algorithm that is accepted, whatever a token says: `HS256` with the secret `JWT_SECRET`, or `RS256`,
   * `ES256` or `EdDSA` with a key set. Default `HS256`.
   */
  algorithm: word(["HS256", "RS256", "ES256", "EdDSA"]).default("HS256"),

  /**
   * The URL of the key set, a JWK Set (RFC 7517, section 5). The set is used for 10 minutes. A token with an unknown
   * `kid` makes the service fetch it again, at most every 30 s. The URL must be https, or http on this machine.
   * Default none.
   */
  jwks_url: text(2_048)
    .refine(isKeySetUrl, { error: "an https URL without credentials, or http on this machine" })
    .optional(),

  /** The key set itself instead of its URL: 1 to 20 public keys. Default none. */
  jwks: section({
    keys: z
      .array(publicKey, { error: "a list of public keys" })
      .min(1, { error: "at least one public key" })
      .max(20, { error: "at most 20 public keys" }),
  }).optional(),

  /**
   * The audience that `aud` must name. Default none: then a token with an `aud` is refused (RFC 7519, section 4.1.3).
   */
  audience: text(200).optional(),

  /** The issuer that `iss` must equal. Default none: `iss` is not checked. */
  issuer: text(200).optional(),

  /** Seconds by which clocks may differ when `exp` and `nbf` are checked. From 0 to 60. Default 5. */
  clock_skew_seconds: integer(0, 60).default(5),

  /** The claim that holds the grant of a token: see PROTOCOL.md. Default `edge_sse`. */
  claim: text(200).default("edge_sse"),
});

/**
 * Access. Each group of routes accepts `public` (anybody), `token` (the secret of the group), `jwt`, or a list of the
 * last two. If a deployment lacks a secret or a key, the group is closed, never open.
 */
const auth = section({
  /** `POST /api/publish`. Its secret is `PUBLISH_TOKEN`. Default `token`. */
  publish: accepted(["token", "jwt"]).prefault("token"),

  /** `/api/events`, `/api/history` and `/api/tickets`. Their secret is `SUBSCRIBE_TOKEN`. Default `public`. */
  subscribe: accepted(["public", "token", "jwt"]).prefault("public"),

  /** `/api/admin/*`. Its secret is `ADMIN_TOKEN`. Default `token`. */
  admin: accepted(["token", "jwt"]).prefault("token"),

  /**
   * `/metrics`, and the numbers in `/health`. Their secret is `METRICS_TOKEN`. Default `public` if `subscribe` is `public`,
   * else `token`. If this is `public` and `subscribe` is not, the compiler prints a warning.
   */
  metrics: accepted(["public", "token", "jwt"]).optional(),

  jwt: jwt.prefault({}),
})
  .superRefine(({ jwt: { algorithm, jwks, jwks_url }, ...groups }, context) => {
    const takesJwt = Object.values(groups).some((list) => list?.includes("jwt"));
    const sources = [jwks, jwks_url].filter((source) => source !== undefined).length;
    if (algorithm === "HS256" ? sources > 0 : takesJwt && sources !== 1) {
      const message =
        algorithm === "HS256" ? "neither jwks_url nor jwks with HS256" : "exactly one of jwks_url and jwks";
      context.addIssue({ code: "custom", path: ["jwt"], message });
    }
  })
  .transform(({ jwt: tokens, metrics, ...groups }) => ({
    ...groups,
    metrics: metrics ?? (groups.subscribe.includes("public") ? ["public" as const] : ["token" as const]),
    jwt: tokens,
  }));

/** Pages of other origins. */
const cors = section({
  /**
   * Origins whose pages may read and send cookies: `https://app.example.com`, or `https://*.example.com` for all
   * direct and indirect subdomains. Other origins get no CORS headers. A cookie in a request with an `Origin` header
   * is accepted only from these origins. At most 100. Default none.
   */
  allowed_origins: z
    .array(
      z.string().refine(isOrigin, {
        error: "an origin such as https://app.example.com or https://*.example.com",
      }),
      {
        error: "a list of origins",
      },
    )
    .max(100, { error: "at most 100 origins" })
    .superRefine(reportRepeated("an origin that is not in the list yet"))
    .default([]),
});

/** Host names, for `npm start` only. On Cloudflare, the platform knows the names of a Worker. */
const hosts = section({
  /**
   * Host names that `npm start` accepts besides IP addresses, `localhost`, names below `localhost`, and `--host`. An
   * entry is a name (`sse.example.com`, for example the one that a proxy sends), all direct and indirect subdomains
   * of a name (`*.example.com`), or `"*"` for any name. A request for another name is answered with 400: otherwise
   * the page of an attacker could use a name that resolves to this machine (DNS rebinding). At most 100. Default
   * none.
   */
  allowed: z
    .array(
      z.string().regex(HOST_PATTERN, {
        error: 'a host name in lower case such as sse.example.com, *.example.com, or "*"',
      }),
      { error: "a list of host names" },
    )
    .max(100, { error: "at most 100 host names" })
    .superRefine(reportRepeated("a host name that is not in the list yet"))
    .default([]),
});

/** Limits for a stream, an address or a token. */
const limits = section({
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

/** The log of the service: one JSON object a line. */
const logging = section({
  /**
   * The least severe level that is logged: `debug`, `info` (clients that connect and leave), `warn` (refusals, dropped
   * clients) or `error` (failures). Default `info`.
   */
  level: word(["debug", "info", "warn", "error"]).default("info"),
});

/** The whole of config.yaml. An empty file is valid: every key then has its default. */
export const configSchema = section({
  sse: sse.prefault({}),
  channels: channels.prefault({}),
  filters: filters.prefault({}),
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

/** Refuses an origin that no browser sends, such as one with the default port of its scheme: it would never match. */
function isOrigin(value: string): boolean {
  const example = value.replace("*.", "any.");
  return ORIGIN_PATTERN.test(value) && URL.canParse(example) && new URL(example).origin === example;
}

/** An attacker could replace a key set that is fetched without TLS. */
function isKeySetUrl(value: string): boolean {
  if (!URL.canParse(value)) {
    return false;
  }
  const { protocol, hostname, username, password, hash } = new URL(value);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const isPlain = username === "" && password === "" && hash === "";
  return isPlain && (protocol === "https:" || (protocol === "http:" && isLocal));
}
