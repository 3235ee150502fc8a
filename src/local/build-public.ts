import { createHash } from "node:crypto";
import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";

import { buildClient } from "./build-client.ts";
import { buildPages } from "./build-pages.ts";
import { writeIfChanged } from "./write-if-changed.ts";

/** The sources and results of the build. The lock file stands for the packages. */
const FILES = [
  "package-lock.json",
  "src/{sse,client,console,htmx,local}/**/*",
  "public/{sse-client,sse-publisher,htmx-sse}.*",
  "public/{console,vendor}/**/*",
];

/** The digest of `FILES` after the last build. A new installation of the packages deletes it. */
const STAMP = "node_modules/.cache/edge-sse/public.sha256";

/**
 * Builds everything in `public/` that is not committed: the modules that clients import, and the files that pages load.
 * Does nothing if no source and no result has changed since the last build.
 */
export async function buildPublic(project: string): Promise<void> {
  const stamp = join(project, STAMP);
  const before = await readFile(stamp, "utf8").catch(() => null);
  if (before !== null && before === (await digestOf(project))) {
    return;
  }
  await Promise.all([buildClient(project), buildPages(project)]);
  await writeIfChanged(stamp, await digestOf(project));
}

async function digestOf(project: string): Promise<string> {
  const files: string[] = [];
  for await (const entry of glob(FILES, { cwd: project, withFileTypes: true })) {
    if (entry.isFile()) {
      files.push(join(entry.parentPath, entry.name));
    }
  }
  const hash = createHash("sha256");
  for (const file of files.toSorted()) {
    hash
      .update(file)
      .update("\0")
      .update(await readFile(file))
      .update("\0");
  }
  return hash.digest("hex");
}
