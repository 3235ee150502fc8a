import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { lackOfPrograms, titleWith } from "../support/programs.ts";

const root = join(import.meta.dirname, "../..");
const unit = readFileSync(join(root, "deploy/edge-sse.service"), "utf8");

/** What `systemd-analyze security` may find, from 0 to 100. A unit without any protection has 96. */
const MOST_EXPOSED = 20;

/** The values of a setting. */
function settings(name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

describe("deploy/edge-sse.service", () => {
  it("sends the signal to the launcher alone, and gives it enough time", () => {
    expect(settings("KillMode")).toEqual(["mixed"]);
    expect(Number(settings("TimeoutStopSec")[0])).toBeGreaterThan(5);
  });

  it("runs as its own user, who can write only to the data", () => {
    expect(settings("DynamicUser")).toEqual(["yes"]);
    expect(settings("ProtectSystem")).toEqual(["strict"]);
    expect(settings("StateDirectory")).toEqual(["edge-sse"]);
    expect(settings("ExecStart")[0]).toMatch(/ --data-dir \/var\/lib\/edge-sse$/);
    expect(settings("Environment")).toEqual(["EDGE_SSE_DEV_VARS=/var/lib/edge-sse/.dev.vars"]);
  });

  it("listens on an address that only this machine can reach", () => {
    expect(settings("ExecStart")[0]).toContain(" --host 127.0.0.1 ");
  });

  it("has no secret", () => {
    expect(unit).not.toMatch(/(?:TOKEN|SECRET)\w*=/);
  });

  it("lets V8 compile JavaScript", () => {
    expect(settings("MemoryDenyWriteExecute")).toEqual([]);
  });

  const lack = lackOfPrograms(["systemd-analyze"]);
  describe.skipIf(lack !== undefined)(`${titleWith("checked by systemd-analyze", lack)}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "edge-sse-unit-"));
    const file = join(folder, "edge-sse.service");
    writeFileSync(file, unit.replaceAll("/opt/edge-sse", root));
    afterAll(() => rmSync(folder, { recursive: true }));

    const analyze = (...args: readonly string[]): string =>
      execFileSync("systemd-analyze", ["--no-pager", ...args, file], { encoding: "utf8", stdio: "pipe" });

    it("has no mistake", () => {
      expect(analyze("verify")).toBe("");
    });

    it("is not exposed", () => {
      expect(analyze("security", "--offline=true", `--threshold=${MOST_EXPOSED}`)).toContain(
        "Overall exposure level",
      );
    });
  });
});
