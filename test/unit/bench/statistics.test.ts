import { describe, expect, test } from "vitest";

import { median, percentile } from "../../../bench/statistics.ts";

const oneToHundred = Array.from({ length: 100 }, (_, index) => 100 - index);

describe("percentile", () => {
  test("is the smallest value that the share does not exceed", () => {
    expect([50, 95, 99, 100].map((percent) => percentile(oneToHundred, percent))).toEqual([50, 95, 99, 100]);
  });

  test("of one value is that value", () => {
    expect(percentile([7], 50)).toBe(7);
    expect(percentile([7], 99)).toBe(7);
  });

  test("sorts numbers as numbers", () => {
    expect(percentile([10, 9, 100], 100)).toBe(100);
  });

  test("of nothing is no number", () => {
    expect(percentile([], 50)).toBeNaN();
  });
});

describe("median", () => {
  test("is the middle value, or the mean of the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([1, 2, 10, 4])).toBe(3);
  });

  test("of nothing is no number", () => {
    expect(median([])).toBeNaN();
  });
});
