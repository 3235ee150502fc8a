import { closeSync, constants, fstatSync, lstatSync, openSync, statSync, type Stats } from "node:fs";

import { LaunchError } from "./launch-error.ts";

/** Mode bits that let other users read, write or enter. */
const OTHERS = 0o077;

/**
 * Whether files of a user may hold our secrets and events. In a container, root often starts a project that another
 * user of the machine owns. That user could change the code anyway, so root trusts that user's files too.
 */
export function isOurs(user: number): boolean {
  const me = process.getuid?.();
  return me === undefined || user === me || (me === 0 && user === ownerOfProject());
}

export function isOpenToOthers({ mode }: Pick<Stats, "mode">): boolean {
  return (mode & OTHERS) !== 0;
}

/**
 * Opens a file or folder for reading and passes it to `use`. Refuses a link that another user has planted, and a pipe:
 * opening a pipe could block for ever.
 *
 * @param use gets the descriptor, so that the file cannot be swapped after the check
 */
export function withOwn<T>(
  path: string,
  isAllowed: (stats: Stats) => boolean,
  use: (descriptor: number, stats: Stats) => T,
): T {
  refuseForeign(path, lstatSync(path), ({ uid }) => isOurs(uid) || uid === 0);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() && !stats.isDirectory()) {
      throw new LaunchError(`${path} is neither a file nor a folder`);
    }
    refuseForeign(path, stats, isAllowed);
    return use(descriptor, stats);
  } finally {
    closeSync(descriptor);
  }
}

function refuseForeign(path: string, stats: Stats, isAllowed: (stats: Stats) => boolean): void {
  if (!isAllowed(stats)) {
    throw new LaunchError(
      `${path} belongs to another user (uid ${stats.uid}), who could read or replace it: remove it, or change its owner`,
    );
  }
}

function ownerOfProject(): number {
  return statSync(import.meta.filename).uid;
}
