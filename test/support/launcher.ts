import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

import { host } from "./host.ts";
import { descendants } from "./processes.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "../..");

/** A process with all that it has printed. */
export interface Printing {
  readonly child: ChildProcess;
  readonly output: string;
  /** Waits for a text that it prints, and gives its first group. Fails if it ends without. */
  printed(text: RegExp): Promise<string>;
  /** Its exit code. */
  ended(): Promise<number | null>;
  /** Ends it and all that it has started. */
  end(): void;
}

export interface RunOptions {
  /** The whole environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Another user to run as; needs the rights of root. */
  readonly user?: number;
}

export function run(command: string, args: readonly string[], { env, user }: RunOptions = {}): Printing {
  const child = spawn(command, args, {
    cwd: root,
    env: env ?? process.env,
    stdio: ["pipe", "pipe", "pipe"],
    ...(user === undefined ? {} : { uid: user, gid: user, cwd: "/" }),
  });
  let output = "";
  let code: number | null | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  child.on("error", (error) => {
    output += error.message;
    code = null;
  });
  child.on("close", (exitCode) => {
    code = exitCode;
  });
  return {
    child,
    get output() {
      return output;
    },
    printed: (text) =>
      until(
        () => {
          const found = text.exec(output);
          if (found === null && code !== undefined) {
            throw new Error(`It ended with ${code}:\n${output}`);
          }
          return found?.[1] ?? found?.[0];
        },
        { what: () => `${text}, got\n${output}`, timeoutMs: 20_000 },
      ),
    ended: async () => {
      await until(() => code !== undefined, { what: () => `its end; it said\n${output}`, timeoutMs: 20_000 });
      return code ?? null;
    },
    end: () => {
      const { pid } = child;
      for (const one of pid === undefined || code !== undefined ? [] : [...descendants(pid), pid]) {
        try {
          process.kill(one, "SIGKILL");
        } catch {
          // Gone already.
        }
      }
    },
  };
}

export interface LaunchOptions {
  readonly dataDir: string;
  readonly devVars: string;
}

/** The command that starts the service, and an environment without the tokens that may be set where the tests run. */
export function launchCommand({ dataDir, devVars }: LaunchOptions): {
  args: readonly string[];
  env: NodeJS.ProcessEnv;
} {
  const { PUBLISH_TOKEN: _publish, ADMIN_TOKEN: _admin, PORT: _port, HOST: _host, ...rest } = process.env;
  return {
    args: [process.execPath, host.entry, "--port", "0", "--data-dir", dataDir],
    env: { ...rest, EDGE_SSE_DEV_VARS: devVars },
  };
}
