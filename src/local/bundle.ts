import { join } from "node:path";

import { build, stop } from "esbuild";

import { LaunchError } from "./launch-error.ts";

/** Bundles what workerd runs: the Worker as `worker.js`, and `assets.js`, which stands in for the edge's static files. */
export async function buildWorkers(project: string, folder: string): Promise<void> {
  try {
    await build({
      entryPoints: {
        worker: join(project, "src/index.ts"),
        assets: join(project, "src/local/workerd/assets.ts"),
      },
      outdir: folder,
      bundle: true,
      format: "esm",
      target: "es2024",
      platform: "browser",
      // As wrangler resolves packages for the edge.
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      keepNames: true,
      logLevel: "warning",
    });
  } catch (error) {
    throw new LaunchError("the Worker does not build: see above", { cause: error });
  } finally {
    await stop();
  }
}
