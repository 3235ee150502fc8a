import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { compileConfig } from "../../../src/config/compile.ts";
import { formatMistake } from "../../../src/config/mistake.ts";

const fixtures = join(import.meta.dirname, "../../fixtures/config");
const project = join(import.meta.dirname, "../../..");

const defaults = {
  sse: {
    heartbeat_interval_seconds: 30,
    max_connections: 100,
    connection_timeout_seconds: 60,
    retry_after_seconds: 5,
  },
  channels: { allowed: ["default"] },
  filters: { fields: ["project_id", "agent_id"], ignored_parameters: ["datastar"] },
  history: { max_events: 100_000, max_age_seconds: 86_400, max_bytes: 1_073_741_824 },
  limits: {
    clients_per_object: 1_000,
    max_stream_age_seconds: 1800,
    max_connections_per_address: 20,
    max_connects_per_minute_per_address: 600,
    max_requests_per_minute_per_address: 1_200,
    max_new_channels_per_hour_per_address: 20,
    max_unpublished_channels: 1_000,
    max_new_channels_per_hour_per_token: 10_000,
    max_publishes_per_minute_per_token: 0,
    exempt_addresses: ["127.0.0.0/8", "::1"],
    trusted_proxies: [],
  },
  auth: {
    publish: ["token"],
    subscribe: ["public"],
    admin: ["token"],
    metrics: ["public"],
    jwt: { algorithm: "HS256", clock_skew_seconds: 5, claim: "edge_sse" },
  },
  cors: { allowed_origins: [] },
  hosts: { allowed: [] },
  relays: { max: 100, tail_events: 16_384, tail_bytes: 8_388_608 },
  logging: { level: "info" },
};

function read(folder: string, file: string): string {
  return readFileSync(join(fixtures, folder, file), "utf8");
}

function mistakesIn(text: string, file = "config.yaml"): string[] {
  return (compileConfig(text, file).mistakes ?? []).map(formatMistake);
}

describe("a valid configuration", () => {
  it.each(["empty.yaml", "only-comments.yaml", "empty-sections.yaml"])("has every default: %s", (file) => {
    expect(compileConfig(read("valid", file), file).config).toEqual(defaults);
  });

  it("is the one of the project", () => {
    expect(mistakesIn(readFileSync(join(project, "config.yaml"), "utf8"))).toEqual([]);
  });

  it("may name the smallest and the largest values", () => {
    expect(compileConfig(read("valid", "smallest.yaml"), "smallest.yaml").config).toMatchObject({
      sse: { heartbeat_interval_seconds: 1, max_connections: 1 },
      history: { max_events: 1, max_age_seconds: 1, max_bytes: 1024 },
      filters: { fields: [], ignored_parameters: [] },
      limits: { max_stream_age_seconds: 0 },
    });
    expect(compileConfig(read("valid", "largest.yaml"), "largest.yaml").config).toMatchObject({
      sse: { heartbeat_interval_seconds: 300, max_connections: 1_000_000 },
      filters: {
        fields: ["a", "constructor", "c", "d", "e", "f", "g_2", "a2345678901234567890123456789012"],
        ignored_parameters: ["datastar", "utm_source"],
      },
      history: { max_bytes: 8 * 1024 ** 3 },
      limits: { max_stream_age_seconds: 86_400 },
    });
  });

  it("gives the keys of a section that it does not name their defaults", () => {
    expect(compileConfig("sse: { max_connections: 7 }", "config.yaml").config?.sse).toEqual({
      ...defaults.sse,
      max_connections: 7,
    });
  });

  it("may repeat a value by an alias", () => {
    const { config } = compileConfig(read("valid", "aliases.yaml"), "aliases.yaml");
    expect(config?.sse).toMatchObject({ connection_timeout_seconds: 40, retry_after_seconds: 40 });
  });
});

describe("a channel with more clients than its relays can hold", () => {
  it("is warned of, with the number that they can hold", () => {
    const text = "sse: { max_connections: 2001 }\nrelays: { max: 2 }";
    expect(compileConfig(text, "config.yaml").warnings?.map(formatMistake)).toEqual([
      "config.yaml:1:25 sse.max_connections: relays.max times limits.clients_per_object allows only 2000 clients; raise relays.max",
    ]);
    expect(compileConfig(text.replace("2001", "2000"), "config.yaml").warnings).toEqual([]);
  });
});

describe("a configuration with mistakes", () => {
  const invalid = readdirSync(join(fixtures, "invalid")).filter((file) => file.endsWith(".yaml"));

  it.each(invalid)("names file, line, column, key and the expected value: %s", (file) => {
    const expected = read("invalid", file.replace(".yaml", ".expected.txt"));
    expect(`${mistakesIn(read("invalid", file), file).join("\n")}\n`).toBe(expected);
  });

  it("is no configuration at all", () => {
    for (const file of invalid) {
      expect(compileConfig(read("invalid", file), file).config).toBeUndefined();
    }
  });

  it("is quoted in part only where a value is long", () => {
    const [mistake = ""] = mistakesIn(`logging: { level: "${"x".repeat(10_000)}" }`);
    expect(mistake.length).toBeLessThan(200);
  });

  it("does not pollute the prototypes of the compiler", () => {
    mistakesIn(read("invalid", "prototype-names.yaml"));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it.each([
    ["max_conections", "max_connections"],
    ["MAX-CONNECTIONS", "max_connections"],
    ["maxConnection", "max_connections"],
  ])("suggests what %s was probably meant to be", (written, meant) => {
    expect(mistakesIn(`sse: { ${written}: 5 }`)[0]).toContain(`(did you mean ${meant}?)`);
  });

  it("suggests the section of a key that has lost its indentation", () => {
    expect(mistakesIn("sse:\nmax_connections: 5\n")[0]).toContain("(did you mean sse.max_connections?)");
  });

  it("suggests nothing for a word that resembles no key", () => {
    expect(mistakesIn("sse: { colour: red }")[0]).not.toContain("did you mean");
  });
});

function compileAuth(auth: string): ReturnType<typeof compileConfig> {
  return compileConfig(`auth: { ${auth} }`, "config.yaml");
}

function warningsOf(auth: string): string[] {
  return (compileAuth(auth).warnings ?? []).map(formatMistake);
}

describe("auth.metrics where auth.subscribe is not public", () => {
  it.each([
    ["subscribe: token", ["token"]],
    ["subscribe: jwt", ["token"]],
    ["subscribe: token, metrics: public", ["public"]],
    ["subscribe: public", ["public"]],
    ["publish: jwt, jwt: { algorithm: HS256 }", ["public"]],
  ])("is public only if the configuration says so: %s", (auth, metrics) => {
    expect(compileAuth(auth).config?.auth.metrics).toEqual(metrics);
  });

  it("causes a warning with file, line and key if it is public", () => {
    expect(warningsOf("subscribe: [token, jwt], metrics: public")).toEqual([
      "config.yaml:1:43 auth.metrics: anyone can read how many clients and events each channel has, although " +
        "auth.subscribe is not public; to guard these numbers, set token or jwt",
    ]);
  });

  it.each(["subscribe: token", "subscribe: token, metrics: jwt", "metrics: public", "subscribe: public"])(
    "causes no warning if it is guarded, or if streams are public: %s",
    (auth) => {
      expect(warningsOf(auth)).toEqual([]);
    },
  );
});
