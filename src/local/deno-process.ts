import { join } from "node:path";

import type { Config } from "../config/schema.ts";
import type { Part, Settings } from "../deno/settings.ts";
import { denoBinary } from "./deno-binary.ts";
import type { StartPlan } from "./local-host.ts";
import { replaceFile } from "./replace-file.ts";
import { SECRET_PREFIX, secretVariable, startRuntime, type RuntimeProcess } from "./runtime.ts";

/** A process to start. */
export interface DenoProcess {
  readonly part: Part;
  /** The number of a serving process, from 1; 0 for other parts. */
  readonly number: number;
  /** The numeric `host:port` of the service. */
  readonly address: string;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What a process may do. Nothing else is allowed. */
interface Permissions {
  readonly net: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** The host of the calls between processes. */
const LOOPBACK = "127.0.0.1";

/** Starts Deno with a bundle, as the whole service or as a part of it. */
export function startDeno(plan: StartPlan, program: string, wanted: DenoProcess): RuntimeProcess {
  const { part, number, address, secrets } = wanted;
  const { folder, config, listenHost, launchId } = plan;
  const settingsFile = join(folder.build, settingsName(wanted));
  const publicFolder = join(plan.project, "public");
  const { hostname, port } = new URL(`http://${address}`);
  const settings: Settings = {
    part,
    number,
    config,
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || "80"),
    listenHost,
    launchId,
    storageFolder: folder.storage,
    publicFolder,
    secrets: Object.keys(secrets),
    secretPrefix: SECRET_PREFIX,
  };
  replaceFile(settingsFile, JSON.stringify(settings), 0o600);
  const { net, read, write } = permissionsOf(wanted, plan, publicFolder);
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
      // For `reusePort`.
      ...(part === "serving" ? ["--unstable-net"] : []),
      `--allow-net=${net.join(",")}`,
      `--allow-read=${list([settingsFile, ...read])}`,
      ...(write.length > 0 ? [`--allow-write=${list(write)}`] : []),
      `--allow-env=${Object.keys(secrets).map(secretVariable).join(",")}`,
      program,
      settingsFile,
    ],
    env: {
      DENO_DIR: join(folder.build, "../deno"),
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
      ...(part === "whole" ? {} : directCalls()),
    },
    secrets,
    portIsToldOn: "stderr",
    isTold: part === "serving",
  });
}

function permissionsOf({ part, address }: DenoProcess, plan: StartPlan, publicFolder: string): Permissions {
  const { config, folder } = plan;
  const { hostname, port } = new URL(`http://${address}`);
  // With port 0, the process may get another port when it has to listen again.
  const publicAddress = port === "0" ? hostname : address;
  const permissions: Readonly<Record<Part, Permissions>> = {
    whole: {
      net: [publicAddress, ...keySetHosts(config)],
      read: [publicFolder, folder.storage],
      write: [folder.storage],
    },
    orderer: { net: [LOOPBACK], read: [folder.storage], write: [folder.storage] },
    serving: { net: [publicAddress, LOOPBACK, ...keySetHosts(config)], read: [publicFolder], write: [] },
  };
  return permissions[part];
}

function settingsName({ part, number }: DenoProcess): string {
  return { whole: "settings.json", orderer: "orderer.json", serving: `serving-${number}.json` }[part];
}

/** Keeps the calls between processes away from a proxy that `HTTP_PROXY` names. */
function directCalls(): Record<string, string> {
  const hosts = [process.env["NO_PROXY"] ?? process.env["no_proxy"] ?? "", LOOPBACK];
  const noProxy = hosts.filter((host) => host !== "").join(",");
  return { NO_PROXY: noProxy, no_proxy: noProxy };
}

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
