import { buildProcess } from "./bundle.ts";
import { startDeno } from "./deno-process.ts";
import type { LocalHost } from "./local-host.ts";
import { startProcesses } from "./processes.ts";

/** The service on Deno, as one process or several. */
export const denoHost: LocalHost = {
  name: "deno",
  command: "npm run serve",
  dataFolder: ".data-deno",
  hasProcesses: true,
  start: async (plan) => {
    const program = await buildProcess(plan.project, plan.folder.build);
    if (plan.processes > 1) {
      return startProcesses(plan, program);
    }
    const { address, secrets, folder } = plan;
    const runtime = startDeno(plan, program, { part: "whole", number: 0, address, secrets });
    folder.recordRuntimes(runtime.pids);
    return runtime;
  },
};
