import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { LaunchError } from "./launch-error.ts";
import type { LocalHost } from "./local-host.ts";

/** What of a host the command line depends on. */
type HostOptions = Pick<LocalHost, "command" | "dataFolder" | "hasProcesses">;

export interface Options {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly configFile: string;
  readonly dataFolder: string;
  readonly devVarsFile: string;
  /** How many processes serve clients. With more than one, another process has the hubs. */
  readonly processes: number;
}

export function usageOf({ command, dataFolder, hasProcesses }: HostOptions): string {
  return `Usage: ${command} -- [options]

  --port N          the port to listen on; 0 picks a free port (default: $PORT, or 8787)
  --host H          the address to listen on (default: $HOST, or 127.0.0.1)
  --config FILE     the configuration file (default: config.yaml)
  --data-dir DIR    the folder that stores the channels (default: ${dataFolder})
${hasProcesses ? PROCESSES_USAGE : ""}  -h, --help        print this text

The tokens are in .dev.vars, or in the file that $EDGE_SSE_DEV_VARS names. A start creates the file if it is missing.
Environment variables with the names of the tokens take precedence over the file.`;
}

const PROCESSES_USAGE = `  --processes N     the number of processes that serve clients on the port (default: 1)
`;

/** Reads the command line, then the environment, then the defaults. Default files are in the project's folder. */
export function readOptions(
  host: HostOptions,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  project: string,
): Options | "help" {
  const flags = parseFlags(host, args);
  if (flags.help === true) {
    return "help";
  }
  return {
    host: readHost(flags.host ?? (env["HOST"] || "127.0.0.1")),
    port: readPort(flags.port ?? (env["PORT"] || "8787")),
    configFile: readFile("--config", flags.config) ?? resolve(project, "config.yaml"),
    dataFolder: readFile("--data-dir", flags["data-dir"]) ?? resolve(project, host.dataFolder),
    devVarsFile: resolve(env["EDGE_SSE_DEV_VARS"] || resolve(project, ".dev.vars")),
    processes: readProcesses(flags.processes ?? "1"),
  };
}

function parseFlags(host: HostOptions, args: readonly string[]): Flags {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    if (values.processes !== undefined && !host.hasProcesses) {
      throw new LaunchError(`${host.command} has no option --processes`);
    }
    return values;
  } catch (error) {
    throw new LaunchError(`${(error as Error).message}\n\n${usageOf(host)}`, { cause: error });
  }
}

const OPTIONS = {
  port: { type: "string" },
  host: { type: "string" },
  config: { type: "string" },
  "data-dir": { type: "string" },
  processes: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

interface Flags {
  readonly port?: string | undefined;
  readonly host?: string | undefined;
  readonly config?: string | undefined;
  readonly "data-dir"?: string | undefined;
  readonly processes?: string | undefined;
  readonly help?: boolean | undefined;
}

/** The most processes: the orderer serves each of them, and each takes 50 MB. */
const MOST_PROCESSES = 50;

function readProcesses(text: string): number {
  const processes = Number(text);
  if (!/^[1-9]\d?$/.test(text) || processes > MOST_PROCESSES) {
    throw new LaunchError(
      `--processes must be a number from 1 to ${MOST_PROCESSES}, got ${JSON.stringify(text)}`,
    );
  }
  return processes;
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
