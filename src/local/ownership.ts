import { closeSync, constants, fstatSync, lstatSync, openSync, statSync, type Stats } from "node:fs";

import { LaunchError } from "./launch-error.ts";

/** The bits of a mode that let other users read, write or enter. */
const OTHERS = 0o077;

/**
 * Whether files of that user may hold our secrets and events. In a container root often starts a project that a user
 * of the machine owns: that user could change the code itself, so root trusts the files of that user too.
 */
export function isOurs(user: number): boolean {
  const me = process.getuid?.();
  return me === undefined || user === me || (me === 0 && user === ownerOfProject());
}

export function isOpenToOthers({ mode }: Pick<Stats, "mode">): boolean {
  return (mode & OTHERS) !== 0;
}

/**
 * Opens a file or folder of ours for reading and runs `use` with it. A link that another user has planted is refused,
 * and so is a pipe, whose opening could wait for ever.
 *
 * @param use gets the descriptor, so that nothing can be put in the place of what was checked.
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
