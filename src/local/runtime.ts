import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { RAISE_DESCRIPTORS, readLimit, type DescriptorLimits } from "./descriptors.ts";
import { LaunchError } from "./launch-error.ts";
import { RuntimeLog } from "./runtime-log.ts";

export interface Runtime {
  /** The processes that it consists of now. */
  readonly pids: readonly number[];
  /** The port, once it accepts connections. Rejects if it never will. */
  readonly listening: Promise<number>;
  /** What it may open at a time: told before `listening`. */
  readonly descriptors: Promise<DescriptorLimits>;
  /** How it ended. */
  readonly ended: Promise<Ended>;
  /** Where it is shut down. Absent: at the address where it listens. */
  readonly shutdownUrl?: string | undefined;
  /** Asks it to end, then makes it. True if it had to be made to. */
  stop(): Promise<boolean>;
}

/** A runtime that is one process. */
export interface RuntimeProcess extends Runtime {
  readonly pid: number;
  /** Writes a line to its standard input, if it is told things there. */
  tell(line: string): void;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RuntimeOptions {
  /** The path of the binary, and its arguments. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Handed over in the environment, so that they are in no file and no command line. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Where it tells its port: workerd is told a descriptor for that, Deno can write to no other than these two. */
  readonly portIsToldOn: "descriptor 3" | "stderr";
  /** Whether the launcher tells it things on its standard input. */
  readonly isTold?: boolean;
}

/** What stands before the name of a secret in the environment of the runtime. */
export const SECRET_PREFIX = "EDGE_SSE_SECRET_";

/** What a secret is called in the environment of the runtime: none can be taken for a `PATH`. */
export const secretVariable = (name: string): string => `${SECRET_PREFIX}${name}`;

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

/** Starts a runtime in a process group of its own: Ctrl-C would end it before anybody could drain it. */
export function startRuntime(options: RuntimeOptions): RuntimeProcess {
  const { command, env, secrets, portIsToldOn, isTold = false } = options;
  const child = spawn("/bin/sh", ["-c", GUARDED, ...command], {
    detached: true,
    stdio: [isTold ? "pipe" : "ignore", "inherit", "pipe", "pipe", "pipe"],
    env: { ...process.env, TZ: "UTC", ...env, ...toEnvironment(secrets) },
  });
  const { pid } = child;
  if (pid === undefined) {
    throw new LaunchError("the runtime cannot be started: there is no /bin/sh");
  }
  // A process that has ended takes nothing more. How it ended is told by `ended`.
  child.stdin?.on("error", () => {});
  const killGroup = () => kill(-pid, "SIGKILL");
  process.once("exit", killGroup);
  const control = createControl();
  createInterface({ input: child.stdio[3] as Readable }).on("line", control.read);
  const isControl = (line: string): boolean => portIsToldOn === "stderr" && control.read(line);
  const said = new RuntimeLog().follow(child.stdio[2] as Readable, isControl);
  const ended = once(child, "exit").then(async ([code, signal]): Promise<Ended> => {
    // The guard is still there. As long as it is, the group's id belongs to no other process.
    killGroup();
    process.off("exit", killGroup);
    await Promise.race([said, sleep(LAST_WORDS_MS)]);
    return { code, signal };
  });
  return {
    pid,
    pids: [pid],
    ended,
    tell: (line) => void child.stdin?.write(`${line}\n`),
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
 * What a start tells, first the shell, then the runtime:
 * `{"event":"descriptors","soft":"1048576","hard":"1048576"}`, `{"event":"listen","socket":"http","port":8787}`
 */
function createControl() {
  const port = Promise.withResolvers<number>();
  const descriptors = Promise.withResolvers<DescriptorLimits>();
  let isComplete = false;
  return {
    port: port.promise,
    descriptors: descriptors.promise,
    /** Reads a line. False: it is something else. After the port there is nothing more to tell. */
    read: (line: string): boolean => {
      const told = isComplete ? undefined : readMessage(line);
      if (told?.event === "descriptors") {
        descriptors.resolve({ soft: readLimit(told.soft), hard: readLimit(told.hard) });
      } else if (told?.event === "listen" && told.socket === "http") {
        isComplete = true;
        port.resolve(told.port);
      }
      return told !== undefined;
    },
  };
}

function readMessage(line: string): ControlMessage | undefined {
  return line.startsWith('{"event":') ? (JSON.parse(line) as ControlMessage) : undefined;
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
