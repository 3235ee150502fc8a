import { join } from "node:path";

import { build, stop } from "esbuild";

import { LaunchError } from "./launch-error.ts";
import { replaceFile } from "./replace-file.ts";

/** Bundles the Worker as `worker.js`, and `assets.js`, which serves `public/` as Cloudflare would. */
export async function buildWorkers(project: string, folder: string): Promise<void> {
  try {
    const { outputFiles } = await build({
      entryPoints: {
        worker: join(project, "src/index.ts"),
        assets: join(project, "src/local/workerd/assets.ts"),
      },
      outdir: folder,
      write: false,
      bundle: true,
      format: "esm",
      target: "es2024",
      platform: "browser",
      // The conditions with which wrangler resolves packages.
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      keepNames: true,
      logLevel: "warning",
    });
    for (const { path, contents } of outputFiles) {
      replaceFile(path, contents);
    }
  } catch (error) {
    throw new LaunchError("the Worker could not be built: see the errors above", { cause: error });
  } finally {
    await stop();
  }
}
