import type { Config } from "../config/schema.ts";

/** What the launcher tells the process. Secrets are in its environment, so that they are in no file. */
export interface Settings {
  readonly config: Config;
  /** A numeric address. */
  readonly hostname: string;
  readonly port: number;
  /** The host as `--host` names it. */
  readonly listenHost: string;
  readonly storageFolder: string;
  readonly publicFolder: string;
  /** The names of the secrets. */
  readonly secrets: readonly string[];
  /** What stands before such a name in the environment. */
  readonly secretPrefix: string;
}
