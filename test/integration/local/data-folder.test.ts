import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { openDataFolder as open } from "../../../src/local/data-folder.ts";
import { factsOf } from "../../../src/local/process-facts.ts";
import { LaunchError } from "../../../src/local/launch-error.ts";

const WORKERD = { name: "workerd", command: "npm start" } as const;
const DENO = { name: "deno", command: "npm run serve" } as const;

const openDataFolder = (path: string) => open(path, WORKERD);

describe("the data folder", () => {
  let parent: string;
  let path: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "edge-sse-folder-"));
    path = join(parent, "new/data");
  });

  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(parent, { recursive: true });
  });

  /** The record that a killed launcher leaves in its folder. */
  const leaveBehind = (pid = 0, startedAt = "") => {
    mkdirSync(join(path, "build"), { recursive: true, mode: 0o700 });
    writeFileSync(join(path, "build/runtime.pid"), `${pid}\n${startedAt}\n`);
  };

  it("is created for this user alone", async () => {
    const { storage, build } = await openDataFolder(path);
    for (const folder of [path, storage, build]) {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
    }
  });

  it("belongs to one start at a time", async () => {
    await openDataFolder(path);
    await expect(openDataFolder(path)).rejects.toThrow(`${path} is in use by another npm start`);
  });

  it("is marked with the host that created it", async () => {
    await open(path, DENO);
    expect(readFileSync(join(path, "host"), "utf8")).toBe("deno\n");
  });

  it("of another host is refused and left unchanged", async () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(join(path, "host"), "deno\n");
    await expect(openDataFolder(path)).rejects.toThrow(
      "has the data of another host (deno), which npm start cannot read",
    );
    expect(readFileSync(join(path, "host"), "utf8")).toBe("deno\n");
  });

  it("belongs to workerd if it is older than the marks and has data", async () => {
    leaveBehind();
    mkdirSync(join(path, "storage/edge-sse-HubObject"), { recursive: true, mode: 0o700 });
    await expect(open(path, DENO)).rejects.toThrow("the data of another host (workerd)");
    expect(readdirSync(path)).not.toContain("host");
  });

  it("records its runtime and when it started", async () => {
    const folder = await openDataFolder(path);
    folder.recordRuntimes([process.pid]);
    const [pid, startedAt] = readFileSync(join(path, "build/runtime.pid"), "utf8").split("\n");
    expect(pid).toBe(String(process.pid));
    expect(startedAt).toBe(factsOf(process.pid)?.startedAt);
  });

  it("remembers all processes of its runtime", async () => {
    const folder = await openDataFolder(path);
    folder.recordRuntimes([process.pid, process.ppid]);
    const [pid, , second, startedAt] = readFileSync(join(path, "build/runtime.pid"), "utf8").split("\n");
    expect([pid, second]).toEqual([String(process.pid), String(process.ppid)]);
    expect(startedAt).toBe(factsOf(process.ppid)?.startedAt);
  });

  it("is not opened before the runtime of a killed launcher is gone", async () => {
    const runtime = spawn("/bin/sh", ["-c", "read line", join(path, "build/workerd.capnp")]);
    const gone = once(runtime, "exit");
    leaveBehind(runtime.pid);
    const order: string[] = [];
    const opening = openDataFolder(path).then(() => order.push("opened"));
    setImmediate(() => {
      order.push("ended");
      runtime.stdin.end();
    });
    await Promise.all([opening, gone]);
    expect(order).toEqual(["ended", "opened"]);
  });

  it("is not opened before all processes of a killed launcher are gone", async () => {
    const processes = ["first", "second", "third"].map((name) => {
      const child = spawn("/bin/sh", ["-c", "read line", join(path, "build/process.js")]);
      return { name, child, gone: once(child, "exit") };
    });
    const pids = processes.map(({ child }) => child.pid ?? 0);
    mkdirSync(join(path, "build"), { recursive: true, mode: 0o700 });
    const records = pids.map((pid) => `${pid}\n${factsOf(pid)?.startedAt}\n`);
    writeFileSync(join(path, "build/runtime.pid"), records.join(""));
    const order: string[] = [];
    const opening = openDataFolder(path).then(() => order.push("opened"));
    for (const { name, child, gone } of processes.toReversed()) {
      order.push(name);
      child.stdin.end();
      await gone;
    }
    await opening;
    expect(order).toEqual(["third", "second", "first", "opened"]);
  });

  it("is refused as long as that runtime does not end", async () => {
    const runtime = spawn("/bin/sh", ["-c", "read line", join(path, "build/workerd.capnp")]);
    try {
      leaveBehind(runtime.pid);
      await expect(openDataFolder(path)).rejects.toThrow(`process ${runtime.pid}`);
    } finally {
      runtime.stdin.end();
    }
  });

  it("does not wait for a foreign process that has the id of an old runtime", async () => {
    leaveBehind(process.pid);
    await expect(openDataFolder(path)).resolves.toBeDefined();
  });

  it("does not wait for a later process with the id and the command line of its old runtime", async () => {
    const runtime = spawn("/bin/sh", ["-c", "read line", join(path, "build/workerd.capnp")]);
    try {
      leaveBehind(runtime.pid, "another boot:1");
      await expect(openDataFolder(path)).resolves.toBeDefined();
    } finally {
      runtime.stdin.end();
    }
  });

  it.each(["", "4711", "-1\n", "x\ny\n", "1e9\n\n", "\0".repeat(9)])(
    "starts with a broken record: %j",
    async (text) => {
      leaveBehind();
      writeFileSync(join(path, "build/runtime.pid"), text);
      await expect(openDataFolder(path)).resolves.toBeDefined();
    },
  );

  it("closes its folders to other users", async () => {
    const said = vi.spyOn(console, "log").mockReturnValue();
    const folders = ["storage", "build"].map((name) => join(path, name));
    for (const folder of folders) {
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o755);
    }
    await openDataFolder(path);
    for (const folder of folders) {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      expect(said.mock.calls.join("\n")).toContain(`"folder_closed","folder":"${folder}"`);
    }
  });

  it.each([["a file"], ["a file/below"]])("cannot be %s", async (name) => {
    writeFileSync(join(parent, "a file"), "");
    const opening = openDataFolder(join(parent, name));
    await expect(opening).rejects.toThrow(LaunchError);
    await expect(opening).rejects.toThrow("cannot be used: ENOTDIR");
  });
});
