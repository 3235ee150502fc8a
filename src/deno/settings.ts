import type { Config } from "../config/schema.ts";
import type { RpcAddress } from "./rpc/call.ts";

/**
 * The part of a process in the service. One process can be the whole service. Otherwise the orderer has the hubs and all
 * files, and the serving processes share the port and serve the clients.
 */
export type Part = "whole" | "orderer" | "serving";

/** The settings of a process. Its secrets are in its environment instead, so that no file holds them. */
export interface Settings {
  readonly part: Part;
  /** Tells the serving processes apart, from 1; 0 for other parts. */
  readonly number: number;
  readonly config: Config;
  /** A numeric address. */
  readonly hostname: string;
  readonly port: number;
  /** The host as `--host` names it. */
  readonly listenHost: string;
  /** Differs for each launch. If the launcher starts the process again, it stays the same. */
  readonly launchId: string;
  readonly storageFolder: string;
  readonly publicFolder: string;
  /** The names of the secrets. */
  readonly secrets: readonly string[];
  /** The prefix of these names in the environment. */
  readonly secretPrefix: string;
}

/** What the launcher writes to the standard input of each serving process, as a line of JSON. */
export interface OrdererNotice {
  /** Where the orderer answers calls; null if it has ended. */
  readonly orderer: RpcAddress | null;
}

/** The secrets of a process, by their names. */
export function secretsOf(
  { secrets }: Pick<Settings, "secrets">,
  secretOf: (name: string) => string,
): Record<string, string> {
  return Object.fromEntries(secrets.map((name) => [name, secretOf(name)]));
}
