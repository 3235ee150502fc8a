import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";

import { toBindings, type ConfigBindings } from "../../../src/config/bindings.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { readCompatibility } from "../../../src/local/compatibility.ts";
import { compileConfigFile } from "../../../src/local/config-file.ts";
import { readObjectClasses } from "../../../src/local/durable-objects.ts";
import { renderWorkerdConfig } from "../../../src/local/workerd-config.ts";

const project = join(import.meta.dirname, "../../..");
const wranglerFile = join(project, "wrangler.toml");
const wrangler = readWranglerConfig({ config: wranglerFile });

const render = (folders: { publicFolder: string; storageFolder: string }, bindings?: ConfigBindings) =>
  renderWorkerdConfig({
    compatibility: { date: "2026-10-23", flags: ["enable_request_signal"] },
    objects: { HUBS: "HubObject" },
    bindings: bindings ?? toBindings(configSchema.parse({})),
    secrets: ["PUBLISH_TOKEN"],
    ...folders,
  });

describe("the configuration of the local runtime", () => {
  it("has the compatibility date and flags of the edge", () => {
    expect(readCompatibility(wranglerFile)).toEqual({
      date: wrangler.compatibility_date,
      flags: wrangler.compatibility_flags,
    });
  });

  it("has the objects of the edge", () => {
    const bindings: { name: string; class_name: string }[] = wrangler.durable_objects.bindings;
    expect(Object.fromEntries(bindings.map((binding) => [binding.name, binding.class_name]))).toEqual(
      readObjectClasses(wranglerFile),
    );
    const text = render({ publicFolder: "/p", storageFolder: "/s" });
    expect(text).toContain('(name = "HUBS", durableObjectNamespace = "HubObject")');
    expect(text).toContain('(className = "HubObject", uniqueKey = "edge-sse-HubObject", enableSql = true)');
  });

  it("has the bindings that the edge gets from the same config.yaml", () => {
    const { config } = compileConfigFile(join(project, "config.yaml"));
    expect(config && toBindings(config)).toEqual(wrangler.vars);
    expect(wrangler.assets?.binding).toBe("ASSETS");
  });

  it("escapes every byte that could end a string or is not plain ASCII", () => {
    const text = render({ publicFolder: '/ä/"), (\\', storageFolder: "/line\nbreak" });
    expect(text).toContain(String.raw`(path = "/\xc3\xa4/\x22), (\x5c")`);
    expect(text).toContain(String.raw`(path = "/line\x0abreak", writable = true)`);
  });

  it("names secrets, and holds none", () => {
    const text = render({ publicFolder: "/p", storageFolder: "/s" });
    expect(text).toContain('(name = "PUBLISH_TOKEN", fromEnvironment = "EDGE_SSE_SECRET_PUBLISH_TOKEN")');
  });
});
