import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { host } from "../../support/host.ts";
import { launchCommand, run, type Printing, type RunOptions } from "../../support/launcher.ts";
import { until } from "../../support/until.ts";

/** `nobody`, on most systems; no process of the tests runs as it. */
const NEIGHBOUR = 65_534;

/** Only root can start a process of another user. */
const hasNeighbour =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ["--version"], { uid: NEIGHBOUR, gid: NEIGHBOUR, cwd: "/" }).status === 0;
if (!hasNeighbour) {
  console.warn("Skipped: attacks by another user of the machine, which only root can start");
}

/** `script` of util-linux gives a program a terminal. */
const hasTerminal = spawnSync("script", ["-qec", "true", "/dev/null"], { stdio: "ignore" }).status === 0;
if (!hasTerminal) {
  console.warn("Skipped: lines printed to a terminal, since there is no `script` of util-linux");
}

let folder: string;
let dataDir: string;
let devVars: string;
let started: Printing[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-sse-files-"));
  await chmod(folder, 0o755);
  dataDir = join(folder, "data");
  devVars = join(folder, "it's $HOME", ".dev.vars");
  await mkdir(join(folder, "it's $HOME"));
  started = [];
});

afterEach(async () => {
  for (const process of started) {
    process.end();
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const keep = (process: Printing): Printing => {
  started.push(process);
  return process;
};

const start = (): Printing => {
  const command = launchCommand({ dataDir, devVars });
  const [file = "", ...args] = command.args;
  return keep(run(file, args, { env: command.env }));
};

const startInTerminal = (): Printing => {
  const command = launchCommand({ dataDir, devVars });
  const line = command.args.map((arg) => `'${arg}'`).join(" ");
  return keep(run("script", ["-qec", line, "/dev/null"], { env: command.env }));
};

const neighbour = (command: string, args: readonly string[], options: RunOptions = {}): Printing =>
  keep(run(command, args, { ...options, user: NEIGHBOUR }));

const ready = (service: Printing): Promise<string> => service.printed(/^Ready on (http:\/\/\S+)\r?$/m);

const tokenOf = async (name: string): Promise<string> =>
  new RegExp(`^${name}=(.*)$`, "m").exec(await readFile(devVars, "utf8"))?.[1] ?? "";

/** Pastes the two lines into a shell, and waits for the event that the second one publishes. */
async function paste(service: Printing): Promise<string> {
  await ready(service);
  await service.printed(/^curl .*\/api\/publish/m);
  const [stream = "", publish = ""] = service.output
    .split(/\r?\n/)
    .filter((line) => line.startsWith("curl "));
  const shell = { env: { PATH: process.env["PATH"] } };
  const streaming = keep(run("/bin/sh", ["-c", stream], shell));
  await streaming.printed(/event: connected/);
  const publishing = keep(run("/bin/sh", ["-c", publish], shell));
  expect(await publishing.ended()).toBe(0);
  expect(publishing.output).toContain('"duplicate":false');
  await streaming.printed(/event: state_transition/);
  return `${stream}\n${publish}`;
}

describe("the lines to paste", () => {
  it.skipIf(!hasTerminal)("show the token to the person at a terminal, and work", async () => {
    const lines = await paste(startInTerminal());
    expect(lines).toContain(`Authorization: Bearer ${await tokenOf("PUBLISH_TOKEN")}`);
  });
});

describe(".dev.vars", () => {
  it("does not go through a link that was planted at the name of a temporary file", async () => {
    const loot = join(folder, "loot");
    await writeFile(loot, "");
    // The number of the next process can be guessed.
    await Promise.all(
      Array.from({ length: 3000 }, (_, n) => symlink(loot, `${devVars}.${process.pid + n}.new`)),
    );
    await ready(start());
    expect(await readFile(loot, "utf8")).toBe("");
    expect(await tokenOf("PUBLISH_TOKEN")).toMatch(/^[0-9a-f]{64}$/);
  });

  it.skipIf(!hasNeighbour).each([
    ["a file", async () => writeFile(devVars, "PUBLISH_TOKEN=known\nADMIN_TOKEN=known\n", { mode: 0o600 })],
    [
      "a link",
      async () => {
        const loot = join(folder, "loot");
        await writeFile(loot, "");
        await chown(loot, NEIGHBOUR, NEIGHBOUR);
        await symlink(loot, devVars);
      },
    ],
  ])("is refused when another user has planted it: %s", async (_, plant) => {
    await plant();
    spawnSync("chown", ["-h", `${NEIGHBOUR}:${NEIGHBOUR}`, devVars]);
    const service = start();
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain(`${devVars} belongs to another user (uid ${NEIGHBOUR})`);
    expect(service.output).not.toContain("known");
  });
});

describe("the data folder", () => {
  it.skipIf(!hasNeighbour)("opens although another user holds locks on everything in it", async () => {
    const files = [join(dataDir, "lock.db"), join(dataDir, "build/lock.db")];
    await mkdir(join(dataDir, "build"), { recursive: true });
    for (const path of [dataDir, join(dataDir, "build")]) {
      await chmod(path, 0o755);
    }
    for (const file of files) {
      await writeFile(file, "", { mode: 0o644 });
    }
    const holder = neighbour(process.execPath, [
      "-e",
      `const { DatabaseSync } = require("node:sqlite");
      globalThis.held = ${JSON.stringify(files)}.map((file) => {
        const lock = new DatabaseSync(file, { readOnly: true });
        lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN; SELECT * FROM sqlite_master");
        return lock;
      });
      console.log("held");
      setInterval(() => {}, 1000);`,
    ]);
    await holder.printed(/held/);
    await ready(start());
    // And it is locked all the same.
    const second = start();
    expect(await second.ended()).toBe(1);
    expect(second.output).toContain(`is in use by another ${host.command}`);
  });

  it.skipIf(!hasNeighbour)("opens although its record names another user's process", async () => {
    await mkdir(join(dataDir, "build"), { recursive: true });
    const stranger = neighbour("/bin/sh", [
      "-c",
      "read line",
      join(dataDir, "build", host.built.at(-1) ?? ""),
    ]);
    for (const record of ["runtime.pid", "build/runtime.pid"]) {
      await writeFile(join(dataDir, record), `${stranger.child.pid}\n`);
    }
    expect(await ready(start())).toMatch(/^http:/);
  });

  it.skipIf(!hasNeighbour)(
    "is refused, with the reason, when a folder in it belongs to another user",
    async () => {
      await mkdir(join(dataDir, "storage"), { recursive: true });
      await chown(join(dataDir, "storage"), NEIGHBOUR, NEIGHBOUR);
      const service = start();
      expect(await service.ended()).toBe(1);
      expect(service.output).toContain(
        `${join(dataDir, "storage")} belongs to another user (uid ${NEIGHBOUR})`,
      );
    },
  );

  it("is closed to other users, and planted links in it are replaced", async () => {
    const loot = join(folder, "loot");
    await writeFile(loot, "precious");
    for (const name of ["storage", "build"]) {
      await mkdir(join(dataDir, name), { recursive: true });
      await chmod(join(dataDir, name), 0o777);
    }
    for (const name of [...host.built, "runtime.pid"]) {
      await symlink(loot, join(dataDir, "build", name));
    }
    await ready(start());
    await until(() => existsSync(join(dataDir, "build/runtime.pid")), { what: "the record" });
    for (const name of ["storage", "build"]) {
      expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o700);
    }
    expect(await readFile(loot, "utf8")).toBe("precious");
    expect((await readdir(join(dataDir, "build"))).toSorted()).toEqual(
      [...host.built, "lock.db", "runtime.pid"].toSorted(),
    );
  });
});
