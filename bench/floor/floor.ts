import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { build, stop } from "esbuild";

import { readCompatibility } from "../../src/local/compatibility.ts";
import { startWorkerd } from "../../src/local/workerd-host.ts";
import type { Host } from "../host.ts";
import { makeTemporaryFolder, type Cleanup } from "../cleanup.ts";

const project = resolve(import.meta.dirname, "../..");

/** Starts the bare floor on a separate runtime, as the launcher starts the service. */
export async function startFloor(cleanup: Cleanup): Promise<Host> {
  const folder = makeTemporaryFolder(cleanup);
  try {
    await build({
      entryPoints: [join(import.meta.dirname, "worker.ts")],
      outdir: folder,
      format: "esm",
      target: "es2024",
      logLevel: "warning",
    });
  } finally {
    await stop();
  }
  mkdirSync(join(folder, "storage"));
  const configFile = join(folder, "workerd.capnp");
  writeFileSync(configFile, renderConfig(join(folder, "storage")));
  const runtime = startWorkerd({ configFile, address: "127.0.0.1:0", secrets: {} });
  const end = cleanup.add(async () => {
    await runtime.stop();
  });
  return {
    name: "floor",
    port: await runtime.listening,
    pid: runtime.pid,
    token: "",
    eventsPath: () => "/events",
    publishPath: () => "/publish",
    stop: end,
  };
}

/** The path at which the floor inserts one row for each call. */
export const ROWS_PATH = "/rows";

function renderConfig(storage: string): string {
  const { date, flags } = readCompatibility(join(project, "wrangler.toml"));
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  sockets = [(name = "http", http = (), service = "floor")],
  services = [
    (name = "floor", worker = (
      compatibilityDate = ${JSON.stringify(date)},
      compatibilityFlags = ${JSON.stringify(flags)},
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      bindings = [
        (name = "FAN_OUT", durableObjectNamespace = "FanOut"),
        (name = "ROWS", durableObjectNamespace = "Rows"),
      ],
      durableObjectNamespaces = [
        (className = "FanOut", uniqueKey = "floor-fan-out", enableSql = true),
        (className = "Rows", uniqueKey = "floor-rows", enableSql = true),
      ],
      durableObjectStorage = (localDisk = "storage"),
    )),
    (name = "storage", disk = (path = ${JSON.stringify(storage)}, writable = true)),
  ],
);
`;
}
