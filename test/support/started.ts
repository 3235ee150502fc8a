import { spawn, spawnSync, type ChildProcess } from "node:child_process";

import { host } from "./host.ts";
import { descendants } from "./processes.ts";
import { copyProject } from "./project-copy.ts";
import { until } from "./until.ts";

/** The system's facts about a process; undefined if there is none. */
export function inspect(pid: number): { group: number; state: string; command: string } | undefined {
  const { stdout } = spawnSync("ps", ["-ww", "-o", "pgid=,stat=,args=", "-p", String(pid)], {
    encoding: "utf8",
  });
  const [, group, state, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/m.exec(stdout) ?? [];
  return group === undefined
    ? undefined
    : { group: Number(group), state: state ?? "", command: command ?? "" };
}

/** A process that has ended, and that its parent has not noticed yet, is not alive. */
export function isAlive(pid: number): boolean {
  return inspect(pid)?.state.startsWith("Z") === false;
}

/** The first process whose command line has one word and lacks the other. */
export function find(pids: readonly number[], word: string, otherWord: string): number {
  const found = pids.find((pid) => {
    const { command = "" } = inspect(pid) ?? {};
    return command.includes(word) && !command.includes(otherWord);
  });
  if (found === undefined) {
    throw new Error(`No process with ${word} in its command line`);
  }
  return found;
}

export function launcherOf(process: Started): number {
  return find(process.family(), host.entry, "npm");
}

export function runtimeOf(process: Started): number {
  return find(process.family(), host.runtimeCommand, "/bin/sh");
}

/** A process that a test has started, with everything that it prints and every process that it starts. */
export class Started {
  readonly child: ChildProcess;
  output = "";
  readonly #seen = new Set<number>();

  constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async ready(): Promise<string> {
    const url = await until(
      () => {
        if (this.child.exitCode !== null) {
          throw new Error(`It ended with ${this.child.exitCode}:\n${this.output}`);
        }
        return /^Ready on (http:\/\/\S+)$/m.exec(this.output)?.[1];
      },
      { what: () => `"Ready on ...", got\n${this.output}`, timeoutMs: 20_000 },
    );
    this.family();
    return url;
  }

  /** Waits for the two lines to paste: one streams, one publishes. */
  lines(): Promise<string[]> {
    return until(
      () => {
        const lines = this.output.split("\n").filter((line) => line.startsWith("curl "));
        return lines.length === 2 && lines;
      },
      { what: () => `two lines of curl, got\n${this.output}` },
    );
  }

  /** This process and all that it has started, the ended ones included. */
  family(): number[] {
    for (const pid of [this.pid, ...descendants(this.pid)]) {
      this.#seen.add(pid);
    }
    return [...this.#seen];
  }

  async ended(timeoutMs = 10_000): Promise<number | NodeJS.Signals> {
    await until(() => this.child.exitCode !== null || this.child.signalCode !== null, {
      what: () => `the end of the process; it said\n${this.output}`,
      timeoutMs,
    });
    return this.child.exitCode ?? this.child.signalCode ?? -1;
  }

  logged(event: string): Record<string, unknown> | undefined {
    return this.output
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find((line) => line["event"] === event);
  }

  end(): void {
    for (const pid of this.family()) {
      if (isAlive(pid)) {
        process.kill(pid, "SIGKILL");
      }
    }
  }
}

/** A copy of the project, and the processes that are started in it. */
export interface Workplace {
  readonly path: string;
  run(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Started;
  npmStart(args?: readonly string[], env?: NodeJS.ProcessEnv): Started;
  /** Starts the launcher without npm. */
  launch(args?: readonly string[], env?: NodeJS.ProcessEnv): Started;
  /** Kills what still runs, and removes the copy. */
  remove(): Promise<void>;
}

export async function openWorkplace(): Promise<Workplace> {
  const project = await copyProject();
  const started: Started[] = [];
  const run: Workplace["run"] = (command, args, env = {}) => {
    // A process group of its own, which can be signalled as a terminal does.
    const child = spawn(command, args, { cwd: project.path, env: environment(env), detached: true });
    const process = new Started(child);
    started.push(process);
    return process;
  };
  return {
    path: project.path,
    run,
    npmStart: (args = [], env = {}) => run("npm", [...host.npmArguments, "--", "--port", "0", ...args], env),
    launch: (args = [], env = {}) => run(process.execPath, [host.entry, "--port", "0", ...args], env),
    remove: async () => {
      for (const each of started) {
        each.end();
      }
      await project.remove();
    },
  };
}

/** Leaves out the tokens and the address that may be set where the tests run. */
function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PUBLISH_TOKEN: _publish, ADMIN_TOKEN: _admin, PORT: _port, HOST: _host, ...rest } = process.env;
  return { ...rest, ...env };
}
