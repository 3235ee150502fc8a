import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** End-to-end tests that measure CPU, memory or time. */
const MEASURED_E2E = [
  "attack/history",
  "attack/requests",
  "attack/stalled",
  "attack/storage",
  "faults/slow-crowd",
  "faults/storm",
  "heartbeat",
  "latency",
  "stream-age",
].map((name) => `test/e2e/${name}.test.ts`);

const LIMITS_OF_RELAYS = {
  clients_per_object: 10,
  max_stream_age_seconds: 0,
  max_connections_per_address: 0,
  max_connects_per_minute_per_address: 0,
  max_requests_per_minute_per_address: 0,
  max_new_channels_per_hour_per_address: 0,
  max_unpublished_channels: 1_000,
  max_new_channels_per_hour_per_token: 0,
  max_publishes_per_minute_per_token: 0,
  exempt_addresses: [],
  trusted_proxies: [],
};

function sseBinding(maxConnections: number) {
  return {
    heartbeat_interval_seconds: 30,
    max_connections: maxConnections,
    connection_timeout_seconds: 60,
    retry_after_seconds: 5,
  };
}

/** Objects inside workerd: SQLite, alarms on demand, eviction. */
function objectProject(name: string, include: string[], bindings: Record<string, unknown>) {
  return {
    plugins: [
      cloudflareTest({
        wrangler: { configPath: "./wrangler.toml" },
        miniflare: {
          bindings: {
            PUBLISH_TOKEN: "publish",
            ADMIN_TOKEN: "admin",
            CHANNELS: { allowed: ["*"] },
            LOGGING: { level: "error" },
            ...bindings,
          },
        },
      }),
    ],
    test: {
      name,
      include,
      // Every test has a channel of its own: files can share a worker, which saves the starts.
      isolate: false,
      testTimeout: 20_000,
      // Bundled, since its source maps name files that its package does not have.
      deps: { optimizer: { ssr: { enabled: true, include: ["itty-router"] } } },
    },
  };
}

/**
 * End-to-end tests of streams and of their operation, which run with relays too. `relays/endings.test.ts` has the shutdown:
 * the general one opens 130 channels at once, which with relays takes longer than its clients wait.
 */
const RELAYED_E2E = ["broadcast", "drain", "event-format", "faults/gap", "filter", "resume", "retention"].map(
  (name) => `test/e2e/${name}.test.ts`,
);

export default defineConfig({
  test: {
    // `npm run coverage`. Only the unit lane can be measured: the other lanes run the code in another process.
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      // Types only: the report would show 0 % for files that have nothing to run.
      exclude: ["src/wire/**"],
      reporter: ["text", "html"],
    },
    projects: [
      {
        // Pure rooms, no runtime: milliseconds.
        test: { name: "unit", include: ["test/unit/**/*.test.ts"] },
      },
      {
        // What spawns a process, builds, writes files or opens a socket, without the whole service.
        test: { name: "integration", include: ["test/integration/**/*.test.ts"], testTimeout: 15_000 },
      },
      objectProject("object", ["test/object/*.test.ts"], { SSE: sseBinding(10) }),
      // The same with small relays. Requests name their continent, as on a local host.
      objectProject("object-relays", ["test/object/relays/*.test.ts"], {
        SSE: { ...sseBinding(20), heartbeat_interval_seconds: 1 },
        LIMITS: LIMITS_OF_RELAYS,
        RELAYS: { max: 100, tail_events: 100, tail_bytes: 1_000_000 },
        LAUNCH_ID: "tests",
      }),
      {
        // The whole service by `npm start`, over real sockets: mostly waiting, so some files at a time.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: MEASURED_E2E,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // Some of these files with relays that hold ten clients each.
        test: {
          name: "e2e-relays",
          include: RELAYED_E2E,
          env: { SERVICE_RELAYS: "1" },
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // The files of `e2e` against the service by `npm run serve`. What that cannot have is in test/support/host.ts.
        test: {
          name: "e2e-deno",
          include: ["test/e2e/**/*.test.ts"],
          exclude: MEASURED_E2E,
          env: { SERVICE_HOST: "deno" },
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "measured-deno",
          include: MEASURED_E2E,
          env: { SERVICE_HOST: "deno" },
          fileParallelism: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // What measures CPU, memory or time: one file at a time, and nothing beside it.
        test: {
          name: "measured",
          include: ["test/measured/**/*.test.ts", ...MEASURED_E2E],
          fileParallelism: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // The files of deploy/: the service by `npm run serve` behind real proxies, through a quiet minute.
        test: {
          name: "deploy",
          include: ["test/deploy/**/*.test.ts"],
          env: { SERVICE_HOST: "deno" },
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The pages, HTMX, the client and a native EventSource, in Chromium.
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The storms of the e2e tests, for as long as anybody likes: not part of `npm test`.
        test: { name: "soak", include: ["test/soak/**/*.test.ts"] },
      },
    ],
  },
});
