import type { Config } from "../config/schema.ts";
import type { DataFolder, FolderOwner } from "./data-folder.ts";
import type { Runtime } from "./runtime.ts";

/** One of the ways to run the service on this machine. */
export interface LocalHost extends FolderOwner {
  /** The data folder, if none is named. Each host has its own. */
  readonly dataFolder: string;
  /** Whether it can run as several processes. */
  readonly hasProcesses: boolean;
  /** Builds what it runs, and starts it. */
  start(plan: StartPlan): Promise<Runtime>;
}

/** What is started. */
export interface StartPlan {
  readonly project: string;
  readonly folder: DataFolder;
  readonly config: Config;
  /** A numeric `host:port`. */
  readonly address: string;
  /** The host as `--host` names it. */
  readonly listenHost: string;
  /** The same for all starts of one launch: what ends with a launch, such as a drain, survives a restart. */
  readonly launchId: string;
  readonly secrets: Readonly<Record<string, string>>;
}
