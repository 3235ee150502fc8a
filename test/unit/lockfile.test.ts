import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

const { allowScripts } = read("package.json") as { allowScripts: Readonly<Record<string, boolean>> };
const { packages } = read("package-lock.json") as { packages: Readonly<Record<string, LockedPackage>> };
/** All but the first, which is the project itself. */
const LOCKED = Object.entries(packages).filter(([path]) => path !== "");

describe("the lockfile", () => {
  it("has an integrity for every package", () => {
    expect(LOCKED.length).toBeGreaterThan(100);
    expect(LOCKED.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
  });

  it("has no install script that allowScripts does not name, and no name without a script", () => {
    const scripts = LOCKED.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    expect(scripts.map(([path]) => path.replace("node_modules/", "")).toSorted()).toEqual(
      Object.keys(allowScripts).toSorted(),
    );
  });

  // `npm install` drops a platform package that the registry does not have; `npm ci` then fails on that platform.
  it("has the packages of every platform", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`${path}/node_modules/${name}` in packages) && !(`node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });

  it("has one workerd: the tests, wrangler and `npm start` run the same", () => {
    const runtimes = LOCKED.filter(([path]) => /(?:^|\/)node_modules\/workerd$/.test(path));
    expect(runtimes.map(([, { version }]) => version)).toEqual([packages["node_modules/workerd"]?.version]);
  });

  it("has a Node of at least 24 for every platform, as a package without a script", () => {
    const nodes = LOCKED.filter(([, { bin }]) => bin?.["node"] !== undefined);
    expect(nodes.map(([, { os, cpu }]) => `${String(os)} ${String(cpu)}`).toSorted()).toEqual([
      "darwin arm64",
      "darwin x64",
      "linux arm64",
      "linux x64",
      "win32 x64",
    ]);
    for (const [, { version, optional, hasInstallScript = false }] of nodes) {
      expect(Number.parseInt(version, 10)).toBeGreaterThanOrEqual(24);
      expect({ optional, hasInstallScript }).toEqual({ optional: true, hasInstallScript: false });
    }
  });
});
