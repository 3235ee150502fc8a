import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { serveFile } from "../assets/serve-file.ts";
import type { Config } from "../config/schema.ts";
import { LogBudget } from "../hub/log-budget.ts";
import type { LogFields, Logger } from "../hub/logger.ts";
import type { Secrets } from "../service/host.ts";
import { createLogger } from "../service/logger.ts";
import { processClock as clock } from "./clock.ts";

/** What every process that runs the service gets. */
export interface BaseOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  /** The host that the service listens on, as `--host` names it. */
  readonly listenHost: string;
  readonly publicFolder: string;
}

/** The parts of a host that do not depend on where the hubs are. */
export abstract class HostBase {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly clock = clock;
  readonly listenHost: string;
  readonly #publicFolder: string;
  readonly #peers = new WeakMap<Request, string>();

  /** @param always fields of every line of the log */
  constructor({ config, secrets, listenHost, publicFolder }: BaseOptions, always: LogFields = {}) {
    this.config = config;
    this.secrets = secrets;
    this.listenHost = listenHost;
    this.logger = new LogBudget(createLogger(config.logging.level, always), clock).log;
    this.#publicFolder = publicFolder;
  }

  /** Remembers the address of a request's peer. */
  received(request: Request, peer: string): void {
    this.#peers.set(request, peer);
  }

  peerOf(request: Request): string | null {
    return this.#peers.get(request) ?? null;
  }

  asset(request: Request): Promise<Response> {
    return serveFile(request, async (path) => {
      try {
        return await readFile(join(this.#publicFolder, path));
      } catch {
        return undefined;
      }
    });
  }

  /** One machine is one place. */
  regionOf(): string {
    return "local";
  }

  /** Does nothing: a process does not end with a request. */
  keepAlive(): void {}
}
