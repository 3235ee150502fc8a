/** `npm run serve`: the service as one process on Deno. */
import * as nodeModule from "node:module";
import { join } from "node:path";

import { listenForStop } from "./stop-signal.ts";

const stop = listenForStop();

// Reuse what the last start has compiled, which saves a third of a start. Deno has a cache of its own.
if ("enableCompileCache" in nodeModule) {
  nodeModule.enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/edge-sse/node"));
}

// Loading the rest takes a while, and a signal may arrive before it is done.
const { launch } = await import("./launch.ts");
const { denoHost } = await import("./deno-host.ts");

await launch(denoHost, process.argv.slice(2), stop);
