import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

import type { Cleanup } from "../cleanup.ts";
import type { Host } from "../host.ts";

/** Starts a raw Node server as a process of its own. */
export async function startNode(cleanup: Cleanup): Promise<Host> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const stop = cleanup.add(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    exited.then(() => {
      throw new Error("the raw Node server did not start");
    }),
  ])) as [string];
  return {
    name: "raw Node",
    port: Number(line),
    pid: child.pid ?? Number.NaN,
    token: "",
    eventsPath: () => "/events",
    publishPath: () => "/publish",
    stop,
  };
}
