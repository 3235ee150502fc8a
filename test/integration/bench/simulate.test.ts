import { spawnSync } from "node:child_process";

import { describe, expect, it } from "vitest";

function simulate(...options: readonly string[]) {
  return spawnSync(process.execPath, ["bench/simulate.ts", ...options], { encoding: "utf8" });
}

describe("npm run simulate", () => {
  it("prints tables", () => {
    const { status, stdout } = simulate();
    expect(status).toBe(0);
    expect(stdout).toContain("| 1 + 1,000 |");
    expect(stdout).not.toContain("NaN");
  });

  it("prints JSON", () => {
    const { status, stdout } = simulate("--json");
    expect(status).toBe(0);
    const { sizes } = JSON.parse(stdout) as { sizes: { load: { clients: number }; dollars: number }[] };
    expect(sizes.map(({ load }) => load.clients)).toEqual([100, 1_000, 10_000, 100_000, 1_000_000]);
    expect(sizes.every(({ dollars }) => dollars >= 5)).toBe(true);
  });

  it("explains its options, and refuses those that it does not have", () => {
    const { status, stdout } = simulate("--help");
    expect([status, stdout]).toEqual([0, expect.stringContaining("--json")]);
    const refused = simulate("--jsno");
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining("--help")]);
  });
});
