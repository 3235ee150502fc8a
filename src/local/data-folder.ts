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
  /** What the host keeps: one database for each object or channel. */
  readonly storage: string;
  /** What this start has built: the bundles and the configuration of the runtime. */
  readonly build: string;
  /** Remembers whom the next start has to wait for, should this one be killed. */
  recordRuntime(pid: number): void;
}

/** How long the runtime of a killed launcher may still be ending. */
const RUNTIME_END_MS = 2000;

/** Opens the data folder for this process alone, creating it if it is missing. */
export async function openDataFolder(path: string, host: FolderOwner): Promise<DataFolder> {
  const storage = join(path, "storage");
  const build = join(path, "build");
  // Both are in a folder that nobody else can enter: another user can neither hold the lock nor name a process.
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
  return { storage, build, recordRuntime: (pid) => recordProcess(runtimePid, pid) };
}

/** Step by step: the recursive way of Node never returns where the system makes no folders, as in /proc. */
function makeFolder(path: string): void {
  if (!existsSync(path)) {
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Makes a folder one that this user alone can enter. */
function claimFolder(folder: string): void {
  makeFolder(folder);
  withOwn(
    folder,
    ({ uid }) => isOurs(uid),
    (descriptor, stats) => {
      if (isOpenToOthers(stats)) {
        fchmodSync(descriptor, 0o700);
        const detail = "other users could enter this folder: its mode is 700 now";
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
  const recorded = readRecord(runtimePid);
  const deadline = performance.now() + RUNTIME_END_MS;
  while (isRunning(recorded, build)) {
    if (performance.now() > deadline) {
      throw new LaunchError(
        `the data folder is still in use by the runtime of an earlier start, process ${recorded.pid}`,
      );
    }
    await sleep(20);
  }
}

interface RecordedProcess {
  /** 0: none. */
  readonly pid: number;
  /** Empty if it is not known. */
  readonly startedAt: string;
}

/** Whether that very process runs, and not another one that was given its number. */
function isRunning({ pid, startedAt }: RecordedProcess, build: string): boolean {
  const facts = pid > 0 ? factsOf(pid) : undefined;
  return (
    facts !== undefined &&
    isOurs(facts.user) &&
    facts.command.includes(build) &&
    (startedAt === "" || facts.startedAt === startedAt)
  );
}

function recordProcess(file: string, pid: number): void {
  replaceFile(file, `${pid}\n${factsOf(pid)?.startedAt ?? ""}\n`, 0o600);
}

function readRecord(file: string): RecordedProcess {
  try {
    const [pid, startedAt = ""] = readFileSync(file, "utf8").split("\n");
    return { pid: Number.parseInt(pid ?? "", 10) || 0, startedAt };
  } catch {
    return { pid: 0, startedAt: "" };
  }
}
