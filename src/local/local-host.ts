import type { Config } from "../config/schema.ts";
import type { DataFolder, FolderOwner } from "./data-folder.ts";
import type { Runtime } from "./runtime.ts";

/** One of the ways to run the service on this machine. */
export interface LocalHost extends FolderOwner {
  /** The default data folder. Each host has its own. */
  readonly dataFolder: string;
  /** Whether it can run as several processes. */
  readonly hasProcesses: boolean;
  /** Builds what it runs, starts it, and records its processes in the data folder. */
  start(plan: StartPlan): Promise<Runtime>;
}

/** The parameters of a start. */
export interface StartPlan {
  readonly project: string;
  readonly folder: DataFolder;
  readonly config: Config;
  /** A numeric `host:port`. */
  readonly address: string;
  /** The host as `--host` names it. */
  readonly listenHost: string;
  /** The same when the runtime is started again, so that a drain survives that. */
  readonly launchId: string;
  readonly secrets: Readonly<Record<string, string>>;
  /** How many processes serve clients. */
  readonly processes: number;
}
