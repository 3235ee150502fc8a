import { describe, expect, it } from "vitest";

import { LaunchValues } from "../../../src/sql/launch-values.ts";

/** The values of one storage, as two starts of the service see them. */
function twoStarts(first: string, second: string): [LaunchValues, LaunchValues] {
  const stored = new Map<string, unknown>();
  const values = {
    get: <Value>(key: string) => stored.get(key) as Value | undefined,
    put: (key: string, value: unknown) => void stored.set(key, value),
    delete: (key: string) => void stored.delete(key),
  };
  return [new LaunchValues(values, first), new LaunchValues(values, second)];
}

describe("a value of one start", () => {
  it("is there until it is deleted", () => {
    const [values] = twoStarts("a", "b");
    expect(values.get("drain")).toBeNull();
    values.put("drain", { until: 7 });
    expect(values.get("drain")).toMatchObject({ until: 7 });
    values.delete("drain");
    expect(values.get("drain")).toBeNull();
  });

  it("is gone after the next start", () => {
    const [before, after] = twoStarts("a", "b");
    before.put("drain", { until: 7 });
    expect(after.get("drain")).toBeNull();
  });

  it("stays on the edge, where nothing is started", () => {
    const [before, after] = twoStarts("", "");
    before.put("drain", { until: 7 });
    expect(after.get("drain")).toMatchObject({ until: 7 });
  });
});

describe("the first call since a start", () => {
  it("is recognised once for each start", () => {
    const [before, after] = twoStarts("a", "b");
    expect([before.begin(), before.begin(), after.begin(), after.begin()]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it("does not exist on the edge", () => {
    const [values] = twoStarts("", "");
    expect(values.begin()).toBe(false);
  });
});
