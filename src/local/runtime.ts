import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { RAISE_DESCRIPTORS, readLimit, type DescriptorLimits } from "./descriptors.ts";
import { LaunchError } from "./launch-error.ts";
import { RuntimeLog } from "./runtime-log.ts";

export interface Runtime {
  readonly pid: number;
  /** The port, once it accepts connections. Rejects if it never will. */
  readonly listening: Promise<number>;
  /** What it may open at a time: told before `listening`. */
  readonly descriptors: Promise<DescriptorLimits>;
  /** How it ended. */
  readonly ended: Promise<Ended>;
  /** Asks it to end, then makes it. True if it had to be made to. */
  stop(): Promise<boolean>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RuntimeOptions {
  readonly configFile: string;
  /** A numeric `host:port`. */
  readonly address: string;
  /** Handed over in the environment, so that they are in no file and no command line. */
  readonly secrets: Readonly<Record<string, string>>;
}

const require = createRequire(import.meta.url);

/** The path of the binary for this platform. The package has no types. */
const { default: workerd } = require("workerd") as { default: string };

/** What a secret is called in the environment of the runtime: none can be taken for a `PATH`. */
export const secretVariable = (name: string): string => `EDGE_SSE_SECRET_${name}`;

/**
 * Becomes the runtime, and leaves a guard behind in the same process group: it reads from a pipe of which only the
 * launcher has the other end, and kills the group when that is closed. Nothing is ever written to it; however the
 * launcher dies, it closes; and the guard is there before the runtime is. It holds none of the runtime's outputs.
 */
const GUARDED = `(exec >/dev/null 2>&1 3>&-; read -r _ <&4; kill -KILL 0) &
${RAISE_DESCRIPTORS}
exec "$0" "$@" 4<&-`;

/** How long the last words of the runtime may take from it to the log. */
const LAST_WORDS_MS = 200;

/** workerd waits for its open responses without a deadline. */
const STOP_GRACE_MS = 400;

/** Starts workerd in a process group of its own: Ctrl-C would end it before anybody could drain it. */
export function startRuntime({ configFile, address, secrets }: RuntimeOptions): Runtime {
  const serve = ["serve", configFile, "--socket-addr", `http=${address}`, "--control-fd=3"];
  const child = spawn("/bin/sh", ["-c", GUARDED, workerd, ...serve], {
    detached: true,
    stdio: ["ignore", "inherit", "pipe", "pipe", "pipe"],
    env: { ...process.env, TZ: "UTC", ...toEnvironment(secrets) },
  });
  const { pid } = child;
  if (pid === undefined) {
    throw new LaunchError("the runtime cannot be started: there is no /bin/sh");
  }
  const killGroup = () => kill(-pid, "SIGKILL");
  process.once("exit", killGroup);
  const said = new RuntimeLog().follow(child.stdio[2] as Readable);
  const ended = once(child, "exit").then(async ([code, signal]): Promise<Ended> => {
    // The guard is still there. As long as it is, the group's id belongs to no other process.
    killGroup();
    process.off("exit", killGroup);
    await Promise.race([said, sleep(LAST_WORDS_MS)]);
    return { code, signal };
  });
  const control = readControl(child);
  return {
    pid,
    ended,
    listening: Promise.race([control.port, ended.then(refuse)]),
    descriptors: control.descriptors,
    stop: async () => {
      kill(pid, "SIGTERM");
      const inTime = await Promise.race([ended.then(() => true), sleep(STOP_GRACE_MS, false)]);
      killGroup();
      await Promise.race([ended, sleep(STOP_GRACE_MS)]);
      return !inTime;
    },
  };
}

function toEnvironment(secrets: RuntimeOptions["secrets"]): Record<string, string> {
  return Object.fromEntries(Object.entries(secrets).map(([name, value]) => [secretVariable(name), value]));
}

/**
 * What is told on the control descriptor, first by the shell, then by workerd:
 * `{"event":"descriptors","soft":"1048576","hard":"1048576"}`, `{"event":"listen","socket":"http","port":8787}`
 */
function readControl(child: ChildProcess): { port: Promise<number>; descriptors: Promise<DescriptorLimits> } {
  const port = Promise.withResolvers<number>();
  const descriptors = Promise.withResolvers<DescriptorLimits>();
  createInterface({ input: child.stdio[3] as Readable }).on("line", (line) => {
    const told = JSON.parse(line) as ControlMessage;
    if (told.event === "descriptors") {
      descriptors.resolve({ soft: readLimit(told.soft), hard: readLimit(told.hard) });
    } else if (told.event === "listen" && told.socket === "http") {
      port.resolve(told.port);
    }
  });
  return { port: port.promise, descriptors: descriptors.promise };
}

type ControlMessage =
  | { readonly event: "descriptors"; readonly soft: string; readonly hard: string }
  | { readonly event: "listen"; readonly socket: string; readonly port: number };

function refuse({ code, signal }: Ended): never {
  throw new LaunchError(
    `the runtime ended before it was ready (${signal ?? `exit code ${code}`}): see above`,
  );
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
