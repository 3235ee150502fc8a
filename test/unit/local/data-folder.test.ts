import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { openDataFolder } from "../../../src/local/data-folder.ts";
import { LaunchError } from "../../../src/local/launch-error.ts";

describe("the data folder", () => {
  let parent: string;
  let path: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "edge-sse-folder-"));
    path = join(parent, "new/data");
  });

  afterEach(() => rmSync(parent, { recursive: true }));

  /** What a launcher that was killed leaves in its folder. */
  const leaveBehind = (pid = 0) => {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "runtime.pid"), `${pid}\n`);
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

  it("remembers its runtime", async () => {
    const folder = await openDataFolder(path);
    folder.recordRuntime(4711);
    expect(readFileSync(join(path, "runtime.pid"), "utf8")).toBe("4711\n");
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

  it("is refused as long as that runtime does not end", async () => {
    const runtime = spawn("/bin/sh", ["-c", "read line", join(path, "build/workerd.capnp")]);
    try {
      leaveBehind(runtime.pid);
      await expect(openDataFolder(path)).rejects.toThrow(`process ${runtime.pid}`);
    } finally {
      runtime.stdin.end();
    }
  });

  it("does not wait for a stranger that has the number of an old runtime by now", async () => {
    leaveBehind(process.pid);
    await expect(openDataFolder(path)).resolves.toBeDefined();
  });

  it.each([["a file"], ["a file/below"]])("cannot be %s", async (name) => {
    writeFileSync(join(parent, "a file"), "");
    const opening = openDataFolder(join(parent, name));
    await expect(opening).rejects.toThrow(LaunchError);
    await expect(opening).rejects.toThrow("cannot be used: ENOTDIR");
  });
});
