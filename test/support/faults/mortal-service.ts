import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { stablePort } from "../port.ts";
import { makeDataDir, startService, type LogLine, type Service, type ServiceOptions } from "../service.ts";

/**
 * How it dies. By SIGKILL to the launcher and the runtime at once, or to one of them, which takes the other with it; or by
 * SIGTERM, in good order.
 */
export type Death = "both" | "launcher" | "runtime" | "terminated";

/** A service that is killed and comes back, with the same data and on the same port. */
export interface MortalService {
  readonly url: string;
  /** The life that runs now, or ran last. */
  readonly service: Service;
  readonly deaths: number;
  /** What all lives so far have logged, and printed. */
  readonly logs: readonly LogLine[];
  readonly output: string;
  /** Returns when it is dead and its port is free. */
  die(death?: Death): Promise<void>;
  revive(config?: ServiceOptions["config"]): Promise<void>;
  /** Stops it in good order, and removes its data. */
  end(): Promise<void>;
}

export async function startMortal(config: ServiceOptions["config"] = {}): Promise<MortalService> {
  const dataDir = await makeDataDir();
  const port = await stablePort();
  const start = (now: ServiceOptions["config"]): Promise<Service> =>
    startService({ port, dataDir: dataDir.path, config: now ?? config });
  const lives = [await start(config)];
  const current = (): Service => {
    const service = lives.at(-1);
    if (service === undefined) {
      throw new Error("It never lived");
    }
    return service;
  };
  return {
    url: current().url,
    get service() {
      return current();
    },
    get deaths() {
      return lives.length - 1;
    },
    get logs() {
      return lives.flatMap(({ logs }) => logs);
    },
    get output() {
      return lives.map(({ output }) => output).join("\n");
    },
    die: async (death = "both") => {
      if (death === "terminated") {
        current().signal("SIGTERM");
        const code = await current().exited();
        if (code !== 0) {
          throw new Error(`The service ended with ${code}`);
        }
      } else if (death !== "both") {
        const pid =
          death === "launcher"
            ? current().pid
            : Number.parseInt(await readFile(join(dataDir.path, "build/runtime.pid"), "utf8"), 10);
        process.kill(pid, "SIGKILL");
        await current().exited();
      }
      await current().kill();
    },
    revive: async (now) => {
      lives.push(await start(now));
    },
    end: async () => {
      await current().stop();
      await dataDir.remove();
    },
  };
}
