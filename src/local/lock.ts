import { readFileSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import { isOurs } from "./ownership.ts";
import { factsOf } from "./process-facts.ts";

/** Open databases. Without a reference a database would be closed and its lock released. */
const held: DatabaseSync[] = [];

const SQLITE_BUSY = 5;

/**
 * Takes a lock of the operating system, which is released when this process ends, however it ends. SQLite provides
 * one on every system. If only processes of other users hold the lock, the file is replaced by one that they have not
 * opened, so that they cannot block a start. The folder must be private.
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

/** Whether only processes of other users hold the lock. False where the system does not list locks. */
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
