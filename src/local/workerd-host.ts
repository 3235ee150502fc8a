import { createRequire } from "node:module";

import { toBindings } from "../config/bindings.ts";
import { buildWorkers } from "./bundle.ts";
import type { LocalHost } from "./local-host.ts";
import { startRuntime, type RuntimeProcess } from "./runtime.ts";
import { writeWorkerdConfig } from "./workerd-config.ts";

const require = createRequire(import.meta.url);

/** The path of the binary for this platform. The package has no types. */
const { default: workerd } = require("workerd") as { default: string };

/** The real Worker and its objects, as on the edge. */
export const workerdHost: LocalHost = {
  name: "workerd",
  command: "npm start",
  dataFolder: ".data",
  hasProcesses: false,
  start: async ({ project, folder, config, address, listenHost, launchId, secrets }) => {
    await buildWorkers(project, folder.build);
    const all = { ...secrets, LAUNCH_ID: launchId, LISTEN_HOST: listenHost };
    const bindings = toBindings(config);
    const configFile = writeWorkerdConfig({ project, folder, bindings, secrets: Object.keys(all) });
    const runtime = startWorkerd({ configFile, address, secrets: all });
    folder.recordRuntimes(runtime.pids);
    return runtime;
  },
};

/** What workerd serves. */
export interface WorkerdOptions {
  readonly configFile: string;
  /** A numeric `host:port`. */
  readonly address: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export function startWorkerd({ configFile, address, secrets }: WorkerdOptions): RuntimeProcess {
  return startRuntime({
    command: [workerd, "serve", configFile, "--socket-addr", `http=${address}`, "--control-fd=3"],
    secrets,
    portIsToldOn: "descriptor 3",
  });
}
