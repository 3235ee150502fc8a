/** `npm start`: runs the real Worker and its Durable Objects on this machine. */
import { listenForStop } from "./stop-signal.ts";

const stop = listenForStop();

// The rest takes a while to load. A signal may arrive before that.
const { launch } = await import("./launch.ts");
const { workerdHost } = await import("./workerd-host.ts");

await launch(workerdHost, process.argv.slice(2), stop);
