import { describe, expect, it, onTestFailed } from "vitest";

import { seedOfRun } from "../../support/faults/random.ts";
import { rage, type Aftermath, type StormOptions } from "../../support/faults/storm.ts";
import { isExcepted } from "../../support/host.ts";

const seed = seedOfRun();

const weather = {
  seed,
  publishers: 3,
  roamers: 24,
  natives: 4,
  batch: 40,
  pauseMs: 20,
} satisfies Partial<StormOptions>;

async function survive(options: StormOptions): Promise<Aftermath> {
  onTestFailed(() => console.error(`The choices of this run come back with SEED=${seed}`));
  const aftermath = await rage(options);
  expect(aftermath.violations, `SEED=${seed}`).toEqual([]);
  expect(aftermath.published).toBeGreaterThan(100);
  return aftermath;
}

/** Who holds the clients. */
const holders = ["its hub", ...(isExcepted("relays in one process") ? [] : ["relays"])];

describe.each(holders)(
  "Promises, with clients on %s: no loss, no double, whatever happens at once",
  (holder) => {
    const hasRelays = holder === "relays";

    it("while the runtime is killed again and again, the history is trimmed, and clients stall, leave and come back", async () => {
      const { deaths, trimmed, missedHistory } = await survive({
        ...weather,
        hasRelays,
        // It is trimmed 5 s after it has grown over its bound.
        durationMs: 8_000,
        lifeMs: 2_500,
        history: { max_events: 500 },
        connectionTimeoutSeconds: 2,
        maxStreamAgeSeconds: 2,
        text: 300,
        stallMs: 1_500,
        awayMs: 3_000,
        stalls: 0.2,
      });
      expect(deaths).toBeGreaterThan(1);
      expect(trimmed).toBeGreaterThan(0);
      expect(missedHistory).toBe(0);
    }, 60_000);

    it("while events get too old for clients that stall until they are dropped, or stay away too long", async () => {
      const { gaps, closes, dropped } = await survive({
        ...weather,
        hasRelays,
        durationMs: 4_500,
        lifeMs: null,
        history: { max_age_seconds: 2 },
        connectionTimeoutSeconds: 1,
        maxStreamAgeSeconds: 5,
        roamers: 14,
        batch: 8,
        pauseMs: 5,
        text: 60_000,
        stallMs: 3_500,
        awayMs: 4_000,
        stalls: 0.5,
      });
      expect(gaps).toBeGreaterThan(0);
      expect(dropped).toBeGreaterThan(0);
      expect(closes["max_age"]).toBeGreaterThan(0);
    }, 60_000);
  },
);
