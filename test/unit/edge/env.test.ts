import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";

import { toBindings } from "../../../src/config/bindings.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { configOf } from "../../../src/edge/config.ts";

const wrangler = readWranglerConfig({ config: "wrangler.toml" });

/** The upper-case names in a file that start a line: `readonly HUBS: ...`, `LAUNCH_ID: ...`. */
function namesIn(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:^\s+|[{,] )(?:readonly )?([A-Z][A-Z_]+)\??:/gm)].map(([, name = ""]) => name);
}

describe("the bindings of the Worker", () => {
  it("are exactly those of wrangler.toml and the local launcher", () => {
    const given = [
      ...wrangler.durable_objects.bindings.map(({ name }: { name: string }) => name),
      ...wrangler.ratelimits.map(({ name }: { name: string }) => name),
      wrangler.assets?.binding ?? "",
      ...namesIn("src/local/launch.ts"),
      ...namesIn("src/local/workerd-host.ts"),
    ];
    expect(given).toContain("LAUNCH_ID");
    expect(namesIn("src/edge/env.ts").toSorted()).toEqual(given.toSorted());
  });

  it("include every class of wrangler.toml, which src/index.ts exports", () => {
    const exported = readFileSync("src/index.ts", "utf8").matchAll(/^export \{ (\w+) \}/gm);
    const classes = wrangler.durable_objects.bindings.map((of: { class_name: string }) => of.class_name);
    expect([...exported].map(([, name]) => name).toSorted()).toEqual(classes.toSorted());
  });

  it("carry every section of config.yaml", () => {
    const config = configSchema.parse({});
    expect(configOf(toBindings(config))).toEqual(config);
    expect(Object.keys(toBindings(config)).toSorted()).toEqual(Object.keys(wrangler.vars).toSorted());
  });
});
