import { setTimeout as sleep } from "node:timers/promises";

import { log } from "./log.ts";
import type { RuntimeProcess } from "./runtime.ts";

/** How long to wait before a process is started again. Short, because its clients and publishers wait for it. */
const RESTART_DELAY_MS = 100;

/** The same for a process that ended before it listened: it would keep a core busy. */
const FAILED_RESTART_DELAY_MS = 1_000;

/** What to run, and what to do when it starts and ends. */
export interface KeptOptions {
  /** Its name in the log. */
  readonly name: string;
  start(): RuntimeProcess;
  /** Called for each life. */
  started(process: RuntimeProcess): void;
  /** Called when a life listens. */
  listens(process: RuntimeProcess, port: number): void;
  /** Called when a life has ended. */
  ended(): void;
}

/** A process that is started again whenever it ends, until it is stopped. */
export class KeptProcess {
  readonly #options: KeptOptions;
  #process: RuntimeProcess;
  #isRunning = true;
  #isStopping = false;

  /** Starts it for the first time. */
  constructor(options: KeptOptions) {
    this.#options = options;
    this.#process = this.#start();
  }

  /** The current life, or the last one. */
  get process(): RuntimeProcess {
    return this.#process;
  }

  /**
   * Resolves to the port once the first life listens, and then keeps the process running.
   *
   * @throws LaunchError if the first life never listens
   */
  async ready(): Promise<number> {
    const port = await this.#listening();
    void this.#keep();
    return port;
  }

  /** Ends it for good. Resolves to whether it had to be forced. */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    // Its id may belong to another process when it has ended.
    return this.#isRunning && (await this.#process.stop());
  }

  async #keep(): Promise<void> {
    let isUp = true;
    for (;;) {
      const cause = await this.#process.ended;
      this.#isRunning = false;
      this.#options.ended();
      if (this.#isStopping) {
        return;
      }
      const { name } = this.#options;
      log("error", "process_ended", { process: name, ...cause });
      await sleep(isUp ? RESTART_DELAY_MS : FAILED_RESTART_DELAY_MS);
      if (this.#isStopping) {
        return;
      }
      this.#process = this.#start();
      isUp = await this.#listening().then(
        () => true,
        () => false,
      );
      if (isUp) {
        log("warn", "process_restarted", { process: name });
      }
    }
  }

  #start(): RuntimeProcess {
    const process = this.#options.start();
    this.#isRunning = true;
    this.#options.started(process);
    return process;
  }

  async #listening(): Promise<number> {
    const process = this.#process;
    const port = await process.listening;
    this.#options.listens(process, port);
    return port;
  }
}
