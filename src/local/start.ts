/** `npm start`: the real Worker and its objects on this machine. */
import { listenForStop } from "./stop-signal.ts";

const stop = listenForStop();

// Only now the rest, which takes its time to load: a signal may come before it has.
const { launch } = await import("./launch.ts");
const { workerdHost } = await import("./workerd-host.ts");

await launch(workerdHost, process.argv.slice(2), stop);
