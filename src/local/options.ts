import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { LaunchError } from "./launch-error.ts";

export interface Options {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly configFile: string;
  readonly dataFolder: string;
  readonly devVarsFile: string;
}

export const USAGE = `Usage: npm start -- [options]

  --port N          where to listen; 0 picks a free port (default 8787, or PORT)
  --host H          the address to listen on (default 127.0.0.1, or HOST)
  --config FILE     the configuration (default config.yaml)
  --data-dir DIR    where the channels are stored (default .data)

The tokens are in .dev.vars (or in the file that EDGE_SSE_DEV_VARS names), which is created when it is missing.
Variables of the same names in the environment win.`;

/** What the command line says, then the environment, then the defaults. Files of the defaults are the project's. */
export function readOptions(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  project: string,
): Options | "help" {
  const flags = parseFlags(args);
  if (flags.help === true) {
    return "help";
  }
  return {
    host: readHost(flags.host ?? (env["HOST"] || "127.0.0.1")),
    port: readPort(flags.port ?? (env["PORT"] || "8787")),
    configFile: readFile("--config", flags.config) ?? resolve(project, "config.yaml"),
    dataFolder: readFile("--data-dir", flags["data-dir"]) ?? resolve(project, ".data"),
    devVarsFile: resolve(env["EDGE_SSE_DEV_VARS"] || resolve(project, ".dev.vars")),
  };
}

function parseFlags(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        host: { type: "string" },
        config: { type: "string" },
        "data-dir": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new LaunchError(`${(error as Error).message}\n\n${USAGE}`, { cause: error });
  }
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new LaunchError(`the port must be a number from 0 to 65535, got ${JSON.stringify(text)}`);
  }
  return port;
}

/** `[::1]`, as it stands in a URL, is `::1`. */
function readHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (!/^[A-Za-z0-9.:_-]+$/.test(host)) {
    throw new LaunchError(`the host must be a name or an address, got ${JSON.stringify(text)}`);
  }
  return host;
}

function readFile(flag: string, path: string | undefined): string | undefined {
  if (path === "") {
    throw new LaunchError(`${flag} needs a path`);
  }
  return path === undefined ? undefined : resolve(path);
}
