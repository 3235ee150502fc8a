import { describe, expect, it } from "vitest";

import { Backoff } from "../../../src/client/backoff.ts";
import { seededRandom } from "../../support/client-world.ts";

const lowest = (): number => 0;
const highest = (): number => 1 - 2 ** -53;

describe("the delay before an attempt", () => {
  it("is 100 ms and a random part that doubles from 1.4 s to 30 s", () => {
    const least = new Backoff(lowest);
    const most = new Backoff(highest);
    const attempts = Array.from({ length: 8 }, () => [least.next(), Math.round(most.next())]);
    expect(attempts).toEqual([
      [100, 1_500],
      [100, 2_900],
      [100, 5_700],
      [100, 11_300],
      [100, 22_500],
      [100, 30_100],
      [100, 30_100],
      [100, 30_100],
    ]);
  });

  it("stays within its bounds after thousands of attempts", () => {
    const backoff = new Backoff(highest);
    const delays = Array.from({ length: 5_000 }, () => backoff.next());
    expect(Math.max(...delays)).toBeLessThan(30_100.001);
    expect(delays.every(Number.isFinite)).toBe(true);
  });

  it("is replaced once by the delay that the service asks for", () => {
    const backoff = new Backoff(highest);
    expect(backoff.next(7_000)).toBe(7_000);
    expect(Math.round(backoff.next())).toBe(2_900);
  });

  it("is the usual one if the service asks for less than 100 ms or for no time", () => {
    const backoff = new Backoff(highest);
    expect([0, 99, -5, Number.NaN].map((ms) => Math.round(backoff.next(ms)))).toEqual([
      1_500, 2_900, 5_700, 11_300,
    ]);
  });

  it("is never long enough for a timer to overflow and fire at once", () => {
    expect(new Backoff(lowest).next(1e300)).toBe(86_400_000);
  });

  it("starts again after a reset", () => {
    const backoff = new Backoff(highest);
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(Math.round(backoff.next())).toBe(1_500);
  });
});

/** The largest number of first attempts of 1,000 clients in any 100 ms. */
function fullestSlot(seed: number): number {
  const slots = new Map<number, number>();
  for (let client = 0; client < 1_000; client++) {
    const slot = Math.floor(new Backoff(seededRandom(seed * 100_003 + client)).next() / 100);
    slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
  return Math.max(...slots.values());
}

describe("a thousand clients that lose their streams at the same moment", () => {
  const seeds = Array.from({ length: 200 }, (_, index) => index + 1);
  it("make their first attempts within 1.5 s, spread over all of it", () => {
    const delays = Array.from({ length: 1_000 }, (_, client) => new Backoff(seededRandom(client)).next());
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_500);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(100);
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    expect(Math.abs(mean - 800)).toBeLessThan(50);
  });

  it("make at most 10 % of their first attempts in any 100 ms", () => {
    // 71 of 1,000 are expected in each of 14 slots, with a standard deviation of 8: chance alone puts more than 100 into
    // one of them about once in 300 times, and more than 110 never in a lifetime.
    const fullest = seeds.map(fullestSlot);
    expect(fullest.filter((count) => count > 100).length / seeds.length).toBeLessThan(0.01);
    expect(Math.max(...fullest)).toBeLessThanOrEqual(110);
  });
});
