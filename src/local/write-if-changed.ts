import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";

import { replaceFile } from "./replace-file.ts";

/**
 * Replaces a file if its content differs. It may be being served, so a reader sees the old or the new file, never a
 * part.
 */
export async function writeIfChanged(file: string, content: string | Uint8Array): Promise<void> {
  const before = await readFile(file).catch(() => undefined);
  if (before === undefined || !before.equals(Buffer.from(content))) {
    await mkdir(dirname(file), { recursive: true });
    replaceFile(file, content);
  }
}
