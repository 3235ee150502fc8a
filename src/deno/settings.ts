import type { Config } from "../config/schema.ts";

/** The settings of the process. Its secrets are in its environment instead, so that no file holds them. */
export interface Settings {
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
