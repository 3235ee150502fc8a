import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

const project = join(import.meta.dirname, "../../..");

describe("npm run config", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-sse-config-"));
    cpSync(join(project, "config.yaml"), join(folder, "config.yaml"));
    cpSync(join(project, "wrangler.toml"), join(folder, "wrangler.toml"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const script = join(project, "scripts/compile-config.ts");
  const files = ["--wrangler", "wrangler.toml", "--config", "config.yaml"];
  const run = (...flags: string[]) =>
    spawnSync(process.execPath, [script, ...files, ...flags], { cwd: folder, encoding: "utf8" });
  const configure = (yaml: string) => writeFileSync(join(folder, "config.yaml"), yaml);
  const wrangler = () => readFileSync(join(folder, "wrangler.toml"), "utf8");

  it("writes the settings of config.yaml into wrangler.toml", () => {
    configure("sse: { max_connections: 7 }");
    expect(run().status).toBe(0);
    expect(wrangler()).toContain("max_connections = 7\n");
    expect(run("--check").status).toBe(0);
  });

  it("is up to date in this project", () => {
    expect(run("--check")).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  it("does not write when nothing has changed", () => {
    const { mtimeNs } = statSync(join(folder, "wrangler.toml"), { bigint: true });
    expect(run().status).toBe(0);
    expect(statSync(join(folder, "wrangler.toml"), { bigint: true }).mtimeNs).toBe(mtimeNs);
  });

  it("with --check refuses a configuration that has changed since the last run, and writes nothing", () => {
    const before = wrangler();
    configure("sse: { max_connections: 7 }");
    const { status, stderr } = run("--check");
    expect(status).toBe(1);
    expect(stderr).toBe("config.yaml has changed since it was compiled: run npm run config\n");
    expect(wrangler()).toBe(before);
  });

  it.each([[[]], [["--check"]]])("lists every mistake, fails and writes nothing %j", (flags) => {
    const before = wrangler();
    configure("sse:\n  max_connections: 0\n  max_conections: 1\nlogging: { level: loud }\n");
    const { status, stderr, stdout } = run(...flags);
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toEqual([
      "config.yaml:2:20 sse.max_connections: expected an integer from 1 to 1000000, got 0",
      expect.stringMatching(/^config\.yaml:3:3 sse\.max_conections: unknown key/),
      'config.yaml:4:19 logging.level: expected one of debug, info, warn, error, got "loud"',
    ]);
    expect(wrangler()).toBe(before);
    expect(readdirSync(folder).toSorted()).toEqual(["config.yaml", "wrangler.toml"]);
  });

  it.each([[[]], [["--check"]]])("prints a warning and goes on %j", (flags) => {
    configure("auth: { subscribe: token, metrics: public }");
    run();
    const { status, stderr } = run(...flags);
    expect(stderr).toMatch(/^warning: config\.yaml:1:36 auth\.metrics: .+\n$/);
    expect(status).toBe(0);
  });

  it("reports a missing configuration", () => {
    rmSync(join(folder, "config.yaml"));
    expect(run()).toMatchObject({ status: 1, stderr: expect.stringContaining("cannot be read") as string });
  });

  it("reports a configuration that is not text", () => {
    writeFileSync(join(folder, "config.yaml"), new Uint8Array([0x73, 0x3a, 0xff]));
    expect(run()).toMatchObject({ status: 1, stderr: expect.stringContaining("not UTF-8") as string });
  });
});
