/** `npm run serve`: the service as one process on Deno. */
import { listenForStop } from "./stop-signal.ts";

const stop = listenForStop();

// Only now the rest, which takes its time to load: a signal may come before it has.
const { launch } = await import("./launch.ts");
const { denoHost } = await import("./deno-host.ts");

await launch(denoHost, process.argv.slice(2), stop);
