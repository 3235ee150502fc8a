import { existsSync, fchmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LaunchError } from "./launch-error.ts";
import { holdLock } from "./lock.ts";
import { log } from "./log.ts";
import { isOpenToOthers, isOurs, withOwn } from "./ownership.ts";
import { factsOf } from "./process-facts.ts";
import { replaceFile } from "./replace-file.ts";

/** What keeps its data in a folder. */
export interface FolderOwner {
  readonly name: "workerd" | "deno";
  /** How a person starts it. */
  readonly command: "npm start" | "npm run serve";
}

export interface DataFolder {
  /** The storage of the host: one database for each object or channel. */
  readonly storage: string;
  /** Files of this start: the bundles, the configuration of the runtime, the lock. */
  readonly build: string;
  /** Records the runtime's processes. If this start is killed, the next one waits for all of them to end. */
  recordRuntimes(pids: readonly number[]): void;
}

/** How long to wait for the runtime of a killed launcher to end. */
const RUNTIME_END_MS = 2000;

/** Opens the data folder for this process alone, creating it if it is missing. */
export async function openDataFolder(path: string, host: FolderOwner): Promise<DataFolder> {
  const storage = join(path, "storage");
  const build = join(path, "build");
  // Only this user can enter the folder, so no other user can hold the lock or write a process id.
  const lock = join(build, "lock.db");
  const runtimePid = join(build, "runtime.pid");
  try {
    makeFolder(path);
    claimFolder(storage);
    claimFolder(build);
    if (!holdLock(lock)) {
      throw new LaunchError(`the data folder ${path} is in use by another ${host.command}`);
    }
    await runtimeIsGone(runtimePid, build);
    claimForHost(path, storage, host);
  } catch (error) {
    if (error instanceof LaunchError) {
      throw error;
    }
    throw new LaunchError(`the data folder ${path} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return { storage, build, recordRuntimes: (pids) => recordProcesses(runtimePid, pids) };
}

/** Creates one folder at a time: Node's recursive `mkdir` never returns in places such as /proc. */
function makeFolder(path: string): void {
  if (!existsSync(path)) {
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Creates a folder if it is missing, and makes sure that only this user can enter it. */
function claimFolder(folder: string): void {
  makeFolder(folder);
  withOwn(
    folder,
    ({ uid }) => isOurs(uid),
    (descriptor, stats) => {
      if (isOpenToOthers(stats)) {
        fchmodSync(descriptor, 0o700);
        const detail = "other users could enter this folder; its mode is now 700";
        log("warn", "folder_closed", { folder, detail });
      }
    },
  );
}

/** Marks a new folder with the host that keeps its data there, and refuses that of another one. */
function claimForHost(path: string, storage: string, { name, command }: FolderOwner): void {
  const mark = join(path, "host");
  if (existsSync(mark)) {
    requireSame(readFileSync(mark, "utf8").trim());
    return;
  }
  // A folder that has data and no mark is older than the marks: there was only workerd then.
  if (readdirSync(storage).length > 0) {
    requireSame("workerd");
  }
  replaceFile(mark, `${name}\n`, 0o600);

  function requireSame(owner: string): void {
    if (owner !== name) {
      throw new LaunchError(
        `the data folder ${path} has the data of another host (${owner}), which ${command} cannot read: choose another with --data-dir`,
      );
    }
  }
}

async function runtimeIsGone(runtimePid: string, build: string): Promise<void> {
  const deadline = performance.now() + RUNTIME_END_MS;
  for (const recorded of readRecords(runtimePid)) {
    while (isRunning(recorded, build)) {
      if (performance.now() > deadline) {
        throw new LaunchError(
          `the data folder is still in use by the runtime of an earlier start (process ${recorded.pid})`,
        );
      }
      await sleep(20);
    }
  }
}

interface RecordedProcess {
  /** 0: no process. */
  readonly pid: number;
  /** Empty if unknown. */
  readonly startedAt: string;
}

/** Whether the recorded process runs, and not a later one with the same id. */
function isRunning({ pid, startedAt }: RecordedProcess, build: string): boolean {
  const facts = pid > 0 ? factsOf(pid) : undefined;
  return (
    facts !== undefined &&
    isOurs(facts.user) &&
    facts.command.includes(build) &&
    (startedAt === "" || facts.startedAt === startedAt)
  );
}

/** Writes two lines for each process: its id, and when it started. */
function recordProcesses(file: string, pids: readonly number[]): void {
  const records = pids.map((pid) => `${pid}\n${factsOf(pid)?.startedAt ?? ""}\n`);
  replaceFile(file, records.join(""), 0o600);
}

function readRecords(file: string): readonly RecordedProcess[] {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.flatMap((line, at) =>
      at % 2 === 0 ? { pid: Number.parseInt(line, 10) || 0, startedAt: lines[at + 1] ?? "" } : [],
    );
  } catch {
    return [];
  }
}
