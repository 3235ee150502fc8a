import { join } from "node:path";

import type { Config } from "../config/schema.ts";
import type { Settings } from "../deno/settings.ts";
import { buildProcess } from "./bundle.ts";
import { denoBinary } from "./deno-binary.ts";
import type { LocalHost } from "./local-host.ts";
import { replaceFile } from "./replace-file.ts";
import { SECRET_PREFIX, secretVariable, startRuntime } from "./runtime.ts";

/** The service as one process on Deno. */
export const denoHost: LocalHost = {
  name: "deno",
  command: "npm run serve",
  dataFolder: ".data-deno",
  hasProcesses: true,
  start: async ({ project, folder, config, address, listenHost, launchId, secrets }) => {
    const program = await buildProcess(project, folder.build);
    const publicFolder = join(project, "public");
    const settingsFile = join(folder.build, "settings.json");
    const names = Object.keys(secrets);
    const url = new URL(`http://${address}`);
    const port = Number(url.port || "80");
    const settings: Settings = {
      config,
      hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port,
      listenHost,
      launchId,
      storageFolder: folder.storage,
      publicFolder,
      secrets: names,
      secretPrefix: SECRET_PREFIX,
    };
    replaceFile(settingsFile, JSON.stringify(settings), 0o600);
    return startRuntime({
      command: [
        denoBinary(),
        "run",
        // Load nothing but the bundle, and never ask for a permission.
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--no-npm",
        // With port 0, the process may get another port when it has to listen again.
        `--allow-net=${[port === 0 ? url.hostname : address, ...keySetHosts(config)].join(",")}`,
        `--allow-read=${list([settingsFile, publicFolder, folder.storage])}`,
        `--allow-write=${list([folder.storage])}`,
        `--allow-env=${names.map(secretVariable).join(",")}`,
        program,
        settingsFile,
      ],
      env: { DENO_DIR: join(folder.build, "../deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      secrets,
      portIsToldOn: "stderr",
    });
  },
};

/** Paths in the form of a permission list, in which a comma within a path is doubled. */
function list(paths: readonly string[]): string {
  return paths.map((path) => path.replaceAll(",", ",,")).join(",");
}

/** The host of the key set for JSON Web Tokens. */
function keySetHosts({ auth }: Config): string[] {
  const { jwks_url: url } = auth.jwt;
  if (url === undefined) {
    return [];
  }
  const { hostname, port, protocol } = new URL(url);
  return [`${hostname}:${port || (protocol === "https:" ? 443 : 80)}`];
}
