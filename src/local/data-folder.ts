import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

import { commandOf } from "./command-of.ts";
import { LaunchError } from "./launch-error.ts";

export interface DataFolder {
  /** What workerd keeps: one database for each object. */
  readonly storage: string;
  /** What this start has built: the bundles and the configuration of the runtime. */
  readonly build: string;
  /** Remembers whom the next start has to wait for, should this one be killed. */
  recordRuntime(pid: number): void;
}

/** How long the runtime of a killed launcher may still be ending. */
const RUNTIME_END_MS = 2000;

/** Opens the data folder for this process alone, creating it if it is missing. */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const storage = join(path, "storage");
  const build = join(path, "build");
  const runtimePid = join(path, "runtime.pid");
  try {
    for (const folder of [path, storage, build]) {
      makeFolder(folder);
    }
    holdLock(join(path, "lock.db"));
    await runtimeIsGone(runtimePid, build);
  } catch (error) {
    if (error instanceof LaunchError) {
      throw error;
    }
    throw new LaunchError(`the data folder ${path} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return { storage, build, recordRuntime: (pid) => writeFileSync(runtimePid, `${pid}\n`) };
}

/** Step by step: the recursive way of Node never returns where the system makes no folders, as in /proc. */
function makeFolder(path: string): void {
  if (!existsSync(path)) {
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Kept for as long as the process lives: a database that nobody refers to is closed, and its lock let go. */
const held: DatabaseSync[] = [];

const SQLITE_BUSY = 5;

/** A lock of the operating system, which goes when this process does, in whatever way. SQLite has a portable one. */
function holdLock(file: string): void {
  try {
    const lock = new DatabaseSync(file, { timeout: 0 });
    lock.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    held.push(lock);
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new LaunchError(`the data folder ${dirname(file)} is in use by another npm start`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function runtimeIsGone(runtimePid: string, build: string): Promise<void> {
  const pid = readPid(runtimePid);
  const deadline = performance.now() + RUNTIME_END_MS;
  while (commandOf(pid).includes(build)) {
    if (performance.now() > deadline) {
      throw new LaunchError(
        `the data folder is still in use by the runtime of an earlier start, process ${pid}`,
      );
    }
    await sleep(20);
  }
}

function readPid(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}
