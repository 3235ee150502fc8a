import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const project = join(import.meta.dirname, "../..");

/** A copy of the project, in which a test may change `config.yaml`, `public/` and `.dev.vars`. */
export async function copyProject(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "edge-sse-project-"));
  for (const part of [
    "config.yaml",
    "package.json",
    "public",
    "scripts",
    "src",
    "tsconfig.json",
    "wrangler.toml",
  ]) {
    await cp(join(project, part), join(path, part), { recursive: true });
  }
  await symlink(join(project, "node_modules"), join(path, "node_modules"));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
