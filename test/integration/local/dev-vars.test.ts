import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { readDevVars } from "../../../src/local/dev-vars.ts";
import { LaunchError } from "../../../src/local/launch-error.ts";

describe(".dev.vars", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-sse-vars-"));
    file = join(folder, ".dev.vars");
  });

  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  const mode = () => statSync(file).mode & 0o777;

  it("is created with two random tokens, for this user alone", () => {
    const { PUBLISH_TOKEN, ADMIN_TOKEN } = readDevVars(file, {});
    expect(PUBLISH_TOKEN).toMatch(/^[0-9a-f]{64}$/);
    expect(ADMIN_TOKEN).toMatch(/^[0-9a-f]{64}$/);
    expect(ADMIN_TOKEN).not.toBe(PUBLISH_TOKEN);
    expect(mode()).toBe(0o600);
    expect(readdirSync(folder)).toEqual([".dev.vars"]);
  });

  it("is kept as it is when it is complete", () => {
    const first = readDevVars(file, {});
    const text = readFileSync(file, "utf8");
    expect(readDevVars(file, {})).toEqual(first);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("gets a missing token at its end", () => {
    const text = "# mine\nADMIN_TOKEN='a #1'\nOTHER=2";
    vi.spyOn(console, "log").mockReturnValue();
    writeFileSync(file, text, { mode: 0o644 });
    const vars = readDevVars(file, {});
    expect(vars).toMatchObject({ ADMIN_TOKEN: "a #1", OTHER: "2" });
    expect(readFileSync(file, "utf8")).toBe(`${text}\nPUBLISH_TOKEN=${vars["PUBLISH_TOKEN"]}\n`);
    expect(mode()).toBe(0o600);
    expect(readDevVars(file, {})).toEqual(vars);
  });

  it("yields to the environment, and is not changed by it", () => {
    writeFileSync(file, "PUBLISH_TOKEN=p\nADMIN_TOKEN=a\n", { mode: 0o600 });
    expect(readDevVars(file, { PUBLISH_TOKEN: "from outside", UNRELATED: "1" })).toEqual({
      PUBLISH_TOKEN: "from outside",
      ADMIN_TOKEN: "a",
    });
    expect(readFileSync(file, "utf8")).toBe("PUBLISH_TOKEN=p\nADMIN_TOKEN=a\n");
  });

  it("can close a route with an empty token", () => {
    writeFileSync(file, "PUBLISH_TOKEN=\nADMIN_TOKEN=a\n", { mode: 0o600 });
    expect(readDevVars(file, { ADMIN_TOKEN: "" })).toEqual({ PUBLISH_TOKEN: "", ADMIN_TOKEN: "" });
  });

  it("is closed to other users when it was open to them", () => {
    writeFileSync(file, "PUBLISH_TOKEN=p\nADMIN_TOKEN=a\n");
    chmodSync(file, 0o644);
    const said = vi.spyOn(console, "log").mockReturnValue();
    readDevVars(file, {});
    expect(mode()).toBe(0o600);
    expect(said.mock.calls.join("\n")).toContain('"event":"dev_vars_closed"');
    said.mockClear();
    readDevVars(file, {});
    expect(said).not.toHaveBeenCalled();
  });

  it("may be a link that this user made, whose file is closed to others and completed", () => {
    const kept = join(folder, "kept");
    writeFileSync(kept, "PUBLISH_TOKEN=p\n", { mode: 0o644 });
    symlinkSync(kept, file);
    vi.spyOn(console, "log").mockReturnValue();
    readDevVars(file, {});
    expect(readFileSync(kept, "utf8")).toMatch(/^PUBLISH_TOKEN=p\nADMIN_TOKEN=[0-9a-f]{64}\n$/);
    expect(mode()).toBe(0o600);
  });

  it("cannot be a pipe, which would keep the start waiting", () => {
    execFileSync("mkfifo", [file]);
    expect(() => readDevVars(file, {})).toThrow("is neither a file nor a folder");
  });

  it("that cannot be written is an error with the reason", () => {
    expect(() => readDevVars(join(folder, "no/such/folder"), {})).toThrow(LaunchError);
  });
});
