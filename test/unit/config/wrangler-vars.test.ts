import { describe, expect, it } from "vitest";

import { toBindings } from "../../../src/config/bindings.ts";
import { compileConfig } from "../../../src/config/compile.ts";
import { DamagedBlockError, renderVars, withVars } from "../../../src/config/wrangler-vars.ts";

function blockFor(yaml: string): string {
  const { config } = compileConfig(yaml, "config.yaml");
  if (config === undefined) {
    throw new Error("The test's own configuration is not valid");
  }
  return renderVars(toBindings(config));
}

const before = 'name = "edge-sse"\n\n[assets]\ndirectory = "./public"   # ünchanged\n';
const after = '\n[[migrations]]\ntag = "v1"\n';

describe("the generated block of wrangler.toml", () => {
  it("is a table for each section, in upper case", () => {
    const block = blockFor('channels: { allowed: [default, "board-*"] }');
    expect(block).toContain('[vars.CHANNELS]\nallowed = ["default", "board-*"]\n');
    expect(block).toContain("[vars.SSE]\nheartbeat_interval_seconds = 30\nmax_connections = 100\n");
    expect(block.match(/^\[vars\.[A-Z]+\]$/gm)).toHaveLength(10);
  });

  it("has the platform's limit of requests, unless it is turned off", () => {
    const block = blockFor("limits: { max_requests_per_minute_per_address: 30 }");
    expect(block).toContain('[[ratelimits]]\nname = "REQUEST_RATE"\n');
    expect(block).toContain("\nsimple = { limit = 30, period = 60 }\n");
    expect(blockFor("limits: { max_requests_per_minute_per_address: 0 }")).not.toContain("ratelimits");
  });

  it("is added at the end the first time", () => {
    expect(withVars(before, blockFor(""))).toBe(`${before}\n${blockFor("")}`);
  });

  it("is replaced where it stands, and not another byte is touched", () => {
    const first = `${before}${blockFor("")}${after}`;
    const next = blockFor("sse: { max_connections: 7 }");
    expect(withVars(first, next)).toBe(`${before}${next}${after}`);
  });

  it("changes nothing when nothing has changed", () => {
    const toml = `${before}${blockFor("")}${after}`;
    expect(withVars(toml, blockFor(""))).toBe(toml);
  });

  it("ends its lines as the rest of the file does", () => {
    const windows = `${before}${blockFor("")}${after}`.replaceAll("\n", "\r\n");
    expect(withVars(windows, blockFor(""))).toBe(windows);
    expect(withVars(windows, blockFor("sse: { max_connections: 7 }"))).not.toMatch(/[^\r]\n/);
  });

  it.each([
    ["without its last line", (toml: string) => toml.replace(/^# <<<.*\n/m, "")],
    ["without its first line", (toml: string) => toml.replace(/^# >>>.*\n/m, "")],
    ["given twice", (toml: string) => toml + toml],
  ])("is left alone %s, since a guess could delete the lines next to it", (_how, damage) => {
    expect(() => withVars(damage(`${before}${blockFor("")}${after}`), blockFor(""))).toThrow(
      DamagedBlockError,
    );
  });
});
