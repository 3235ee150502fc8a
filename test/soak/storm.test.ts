import { describe, expect, it, onTestFailed } from "vitest";

import { createRandom, seedOfRun } from "../support/faults/random.ts";
import { rage, type StormOptions } from "../support/faults/storm.ts";

/** `SOAK_MINUTES=60 SEED=7 npm run test:soak` */
const minutes = Number(process.env["SOAK_MINUTES"] ?? 5);
const seed = seedOfRun();

/** The most time that a storm takes in addition to its own: clients finish, and their events are checked. */
const AFTERMATH_MS = 60_000;

/** The weather of one round: what is varied is what the service and its clients have to bear. */
function forecast(round: number): StormOptions {
  const random = createRandom(seed).of(`round ${round}`);
  const isHeavy = random.chance(0.3);
  const hasRelays = random.chance(0.5);
  return {
    seed: `${seed} ${round}`,
    durationMs: random.between(10_000, isHeavy ? 20_000 : 60_000),
    lifeMs: random.pick([null, 1_500, 4_000, 15_000]),
    isTerminated: random.chance(0.5),
    // Keys must live longer than a restart takes.
    history: random.pick<StormOptions["history"]>([
      {},
      { max_events: random.between(500, 5_000) },
      { max_age_seconds: random.between(10, 20) },
    ]),
    connectionTimeoutSeconds: random.between(1, 4),
    maxStreamAgeSeconds: random.pick([0, 2, 3, 10]),
    hasRelays,
    publishers: random.between(1, 4),
    // Relays have 40 seats.
    roamers: isHeavy ? 14 : random.between(10, hasRelays ? 30 : 60),
    natives: random.between(1, 8),
    batch: isHeavy ? 8 : random.between(1, 200),
    text: isHeavy ? 60_000 : random.between(0, 800),
    pauseMs: random.between(0, 40),
    stallMs: random.between(500, 6_000),
    awayMs: random.between(500, 20_000),
    stalls: random.next(),
  };
}

describe("Promises: no loss, no double, for as long as the test runs", () => {
  it(
    `in one storm after the other, for ${minutes} minutes`,
    async () => {
      onTestFailed(() => console.error(`The choices of this run come back with SEED=${seed}`));
      const end = performance.now() + minutes * 60_000;
      let rounds = 0;
      for (; performance.now() < end; rounds++) {
        const options = forecast(rounds);
        const { violations, ...aftermath } = await rage(options);
        const told = JSON.stringify({ ...options, ...aftermath });
        console.info(`storm ${rounds}: ${told}`);
        expect(violations, `SEED=${seed}, storm ${rounds}: ${told}`).toEqual([]);
        expect(aftermath.published).toBeGreaterThan(0);
      }
      expect(rounds).toBeGreaterThan(0);
    },
    minutes * 60_000 + 60_000 + AFTERMATH_MS,
  );
});
