import { join } from "node:path";

import { build, stop } from "esbuild";

import { LaunchError } from "./launch-error.ts";
import { replaceFile } from "./replace-file.ts";

/** Bundles the Worker as `worker.js`, and `assets.js`, which serves `public/` as Cloudflare would. */
export function buildWorkers(project: string, folder: string): Promise<void> {
  const entryPoints = {
    worker: join(project, "src/index.ts"),
    assets: join(project, "src/local/workerd/assets.ts"),
  };
  // The conditions with which wrangler resolves packages.
  return bundle(folder, entryPoints, ["workerd", "worker", "browser"]);
}

/** Bundles what Deno runs. Returns the path of the module. */
export async function buildProcess(project: string, folder: string): Promise<string> {
  await bundle(folder, { process: join(project, "src/deno/main.ts") }, ["worker", "browser"]);
  return join(folder, "process.js");
}

async function bundle(
  folder: string,
  entryPoints: Readonly<Record<string, string>>,
  conditions: readonly string[],
): Promise<void> {
  try {
    const { outputFiles } = await build({
      entryPoints,
      outdir: folder,
      write: false,
      bundle: true,
      format: "esm",
      target: "es2024",
      platform: "browser",
      conditions: [...conditions],
      external: ["cloudflare:*", "node:*"],
      keepNames: true,
      logLevel: "warning",
    });
    for (const { path, contents } of outputFiles) {
      replaceFile(path, contents);
    }
  } catch (error) {
    throw new LaunchError("the service could not be built: see the errors above", { cause: error });
  } finally {
    await stop();
  }
}
