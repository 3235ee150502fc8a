import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        // Pure rooms, no runtime: milliseconds.
        test: { name: "unit", include: ["test/unit/**/*.test.ts"] },
      },
      {
        // Objects inside workerd: SQLite, alarms on demand, eviction.
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: { name: "object", include: ["test/object/**/*.test.ts"] },
      },
      {
        // The whole service by `npm start`, over real sockets. One file at a time: two cores, and some measure.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
