import { readFileSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import { isOurs } from "./ownership.ts";
import { factsOf } from "./process-facts.ts";

/** Kept for as long as the process lives: a database that nobody refers to is closed, and its lock let go. */
const held: DatabaseSync[] = [];

const SQLITE_BUSY = 5;

/**
 * Holds a lock of the operating system, which goes when this process does, in whatever way. SQLite has a portable one.
 * A lock that only processes of other users hold is no lock of ours: the file is replaced by one that they have not
 * opened. The folder must be closed to them.
 *
 * @returns false if another process of this user holds it
 */
export function holdLock(file: string): boolean {
  if (tryLock(file)) {
    return true;
  }
  if (!isHeldByOthersAlone(file)) {
    return false;
  }
  rmSync(file, { force: true });
  return tryLock(file);
}

function tryLock(file: string): boolean {
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    held.push(lock);
    return true;
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      return false;
    }
    throw error;
  }
}

/** False where the system does not list its locks. */
function isHeldByOthersAlone(file: string): boolean {
  const users = holdersOf(file).map((pid) => factsOf(pid)?.user);
  return users.length > 0 && users.every((user) => user !== undefined && !isOurs(user));
}

function holdersOf(file: string): number[] {
  try {
    const { ino } = statSync(file);
    // `1: POSIX  ADVISORY  READ 4711 08:01:123456 1073741826 1073742335`
    return readFileSync("/proc/locks", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , , , id]) => id?.endsWith(`:${ino}`))
      .map(([, , , , pid]) => Number(pid));
  } catch {
    return [];
  }
}
