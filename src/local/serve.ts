/** `npm run serve`: the service as one process on Deno. */
import * as nodeModule from "node:module";
import { join } from "node:path";

import { listenForStop } from "./stop-signal.ts";

const stop = listenForStop();

// A third of a start is compiling what the last one has compiled already. Deno has a cache of its own.
if ("enableCompileCache" in nodeModule) {
  nodeModule.enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/edge-sse/node"));
}

// Only now the rest, which takes its time to load: a signal may come before it has.
const { launch } = await import("./launch.ts");
const { denoHost } = await import("./deno-host.ts");

await launch(denoHost, process.argv.slice(2), stop);
