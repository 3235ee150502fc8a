import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { LaunchError } from "./launch-error.ts";

export interface Options {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly configFile: string;
  readonly dataFolder: string;
  readonly devVarsFile: string;
}

export const USAGE = `Usage: npm start -- [options]

  --port N          the port to listen on; 0 picks a free port (default: $PORT, or 8787)
  --host H          the address to listen on (default: $HOST, or 127.0.0.1)
  --config FILE     the configuration file (default: config.yaml)
  --data-dir DIR    the folder that stores the channels (default: .data)
  -h, --help        print this text

The tokens are in .dev.vars, or in the file that $EDGE_SSE_DEV_VARS names. A start creates the file if it is missing.
Environment variables with the names of the tokens take precedence over the file.`;

/** Reads the command line, then the environment, then the defaults. Default files are in the project's folder. */
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

/** Accepts an IPv6 address with or without the brackets that it has in a URL. */
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
