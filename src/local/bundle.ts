import { join } from "node:path";

import { build, stop } from "esbuild";

import { LaunchError } from "./launch-error.ts";
import { replaceFile } from "./replace-file.ts";

/** Bundles what workerd runs: the Worker as `worker.js`, and `assets.js`, which stands in for the edge's static files. */
export function buildWorkers(project: string, folder: string): Promise<void> {
  const entryPoints = {
    worker: join(project, "src/index.ts"),
    assets: join(project, "src/local/workerd/assets.ts"),
  };
  // As wrangler resolves packages for the edge.
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
    throw new LaunchError("the service does not build: see above", { cause: error });
  } finally {
    await stop();
  }
}
