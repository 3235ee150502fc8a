import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { HubError } from "../../../src/hub/errors.ts";
import { Quota } from "../../../src/hub/quota.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";

const MINUTE = 60_000;

/** A quota, and a function that uses it: returns 0, or after how many seconds the quota may be used again. */
function quotaOf(limit: number): { clock: FakeClock; quota: Quota; use: (key?: string | null) => number } {
  const clock = new FakeClock();
  const quota = new Quota(limit, "Too many.", clock);
  const use = (key: string | null = "a"): number => {
    try {
      quota.use(key);
      return 0;
    } catch (error) {
      if (error instanceof HubError && error.code === "rate_limited" && error.message === "Too many.") {
        return error.retryAfterSeconds ?? Number.NaN;
      }
      throw error;
    }
  };
  return { clock, quota, use };
}

describe("a quota", () => {
  it("allows a key this many uses, and then gives the whole seconds until the minute ends", async () => {
    const { clock, use } = quotaOf(3);
    expect([use(), use(), use(), use()]).toEqual([0, 0, 0, 60]);
    await clock.advance(1);
    expect(use()).toBe(60);
    await clock.advance(999);
    expect(use()).toBe(59);
    await clock.advance(58_999);
    expect(use()).toBe(1);
    await clock.advance(1);
    expect([use(), use(), use(), use()]).toEqual([0, 0, 0, 60]);
  });

  it("counts a minute from its first use, not from the minute of the clock", async () => {
    const { clock, use } = quotaOf(2);
    await clock.advance(45_000);
    expect(use()).toBe(0);
    await clock.advance(30_000);
    expect([use(), use()]).toEqual([0, 30]);
    await clock.advance(30_000);
    expect([use(), use(), use()]).toEqual([0, 0, 60]);
  });

  it("is not extended by further attempts", async () => {
    const { clock, use } = quotaOf(1);
    use();
    for (let second = 1; second < 60; second++) {
      await clock.advance(1_000);
      expect(use()).toBe(60 - second);
    }
    await clock.advance(1_000);
    expect(use()).toBe(0);
  });

  it("counts keys separately, even those with special names", () => {
    const { use } = quotaOf(1);
    for (const key of ["", "a", "A", "__proto__", "constructor", "2001:db8::/64"]) {
      expect([use(key), use(key)]).toEqual([0, 60]);
    }
  });

  it("has no limit without a key or with the limit 0, and keeps nothing then", () => {
    const limited = quotaOf(1);
    const off = quotaOf(0);
    for (let count = 0; count < 1_000; count++) {
      expect([limited.use(null), off.use("a")]).toEqual([0, 0]);
    }
    expect([limited.quota.size, off.quota.size]).toEqual([0, 0]);
  });

  it.each([1, 5_000, MINUTE, 60 * MINUTE])(
    "forgets no use if the clock is set back by %d ms, and no key waits longer than a minute",
    async (ms) => {
      const { clock, use } = quotaOf(2);
      use();
      await clock.advance(10_000);
      use();
      clock.setBack(ms);
      const seconds = use();
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);
      await clock.advance(seconds * 1_000);
      expect(use()).toBe(0);
    },
  );
});

describe("the table of a quota", () => {
  it("keeps at most the 10,000 newest of 100,000 keys", () => {
    const { quota, use } = quotaOf(1);
    let most = 0;
    for (let index = 0; index < 100_000; index++) {
      expect(use(`key-${index}`)).toBe(0);
      most = Math.max(most, quota.size);
    }
    expect(most).toBe(10_000);
    expect(quota.size).toBeGreaterThan(9_000);
    expect(use("key-99999")).toBe(60);
    expect(use("key-91000")).toBe(60);
    expect(use("key-0")).toBe(0);
  });

  it("drops finished windows before any other", async () => {
    const { clock, quota, use } = quotaOf(1);
    const useAll = (name: string, keys: number): number[] =>
      Array.from({ length: keys }, (_, index) => use(`${name}-${index}`));
    useAll("old", 2_000);
    await clock.advance(MINUTE - 1);
    useAll("young", 8_000);
    await clock.advance(1);
    expect(use("one more")).toBe(0);
    expect(quota.size).toBe(8_001);
    expect(new Set(useAll("young", 8_000))).toEqual(new Set([60]));
    expect(new Set(useAll("old", 1_000))).toEqual(new Set([0]));
  });

  it("loses only finished windows when it is tidied", async () => {
    const { clock, quota, use } = quotaOf(1);
    use("a");
    await clock.advance(30_000);
    use("b");
    await clock.advance(29_999);
    quota.tidy();
    expect(quota.size).toBe(2);
    await clock.advance(1);
    quota.tidy();
    expect([quota.size, use("b")]).toEqual([1, 30]);
    await clock.advance(MINUTE);
    quota.tidy();
    expect(quota.size).toBe(0);
  });

  it("allows exactly its limit in each window, for any keys and times", async () => {
    const step = fc.record({
      key: fc.constantFrom("a", "b", "c"),
      ms: fc.constantFrom(0, 0, 1, 999, 20_000, 59_999),
      isTidied: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 80 }),
        async (limit, steps) => {
          const { clock, quota, use } = quotaOf(limit);
          const passed = new Map<string, number[]>();
          for (const { key, ms, isTidied } of steps) {
            await clock.advance(ms);
            if (isTidied) {
              quota.tidy();
            }
            const times = passed.get(key) ?? [];
            const now = clock.now();
            // The model: each window starts with the first use that the window before does not cover.
            let startedAt = Number.NEGATIVE_INFINITY;
            let uses = 0;
            for (const time of times) {
              [startedAt, uses] = time - startedAt >= MINUTE ? [time, 1] : [startedAt, uses + 1];
            }
            const left = startedAt + MINUTE - now;
            const seconds = left > 0 && uses >= limit ? Math.ceil(left / 1_000) : 0;
            expect(use(key)).toBe(seconds);
            passed.set(key, seconds === 0 ? [...times, now] : times);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
