import { randomUUID } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";

/**
 * Writes a file whole or not at all. Another user cannot redirect it: the temporary file has a name that nobody can
 * guess and is never opened if it exists, and a link at `file` itself is replaced, not followed.
 *
 * @param mode of the new file, less the umask
 */
export function replaceFile(file: string, content: string | Uint8Array, mode = 0o666): void {
  const next = `${file}.${randomUUID()}.next`;
  try {
    writeFileSync(next, content, { flag: "wx", mode });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}
