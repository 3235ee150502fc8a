import { randomUUID } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";

/**
 * Writes a file completely or not at all. Another user cannot redirect the write: the name of the temporary file cannot
 * be guessed, an existing file is never opened, and a link at `file` is replaced, not followed.
 *
 * @param mode the mode of the new file, before the umask
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
