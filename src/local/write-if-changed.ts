import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";

import { replaceFile } from "./replace-file.ts";

/** Whole or not at all, since it may be being served; and only if it differs, or a watcher that builds would see a change. */
export async function writeIfChanged(file: string, content: string | Uint8Array): Promise<void> {
  const before = await readFile(file).catch(() => undefined);
  if (before === undefined || !before.equals(Buffer.from(content))) {
    await mkdir(dirname(file), { recursive: true });
    replaceFile(file, content);
  }
}
