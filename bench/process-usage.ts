import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const linux = process.platform === "linux";

/** Milliseconds of CPU time that all threads of a process have used. */
export function cpuMilliseconds(pid: number): number {
  if (!linux) {
    const [minutes = "0", seconds = "0"] = ps(pid, "time").split(":").slice(-2);
    return (Number(minutes) * 60 + Number(seconds)) * 1000;
  }
  return schedulerMilliseconds(pid, 0);
}

/** Milliseconds for which threads were ready to run but no core was free; 0 where the system does not report it. */
export function waitedMilliseconds(pid: number): number {
  return linux ? schedulerMilliseconds(pid, 1) : 0;
}

/** Reads schedstat, which counts nanoseconds; stat counts ticks of 10 ms. schedstat omits threads that have ended. */
function schedulerMilliseconds(pid: number, field: 0 | 1): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[field]);
  }
  return nanoseconds / 1e6;
}

/** The resident memory of a process in kilobytes. */
export function residentKilobytes(pid: number): number {
  if (!linux) {
    return Number(ps(pid, "rss"));
  }
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** The process called `name` among the descendants of `ancestor`. */
export function findDescendant(ancestor: number, name: string): number | undefined {
  const parents = new Map<number, { parent: number; command: string }>();
  for (const { pid, parent, command } of listProcesses()) {
    parents.set(pid, { parent, command });
  }
  for (const [pid, { command }] of parents) {
    if (command !== name && !command.endsWith(`/${name}`)) {
      continue;
    }
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)?.parent) {
      if (at === ancestor) {
        return pid;
      }
    }
  }
  return undefined;
}

function listProcesses(): { pid: number; parent: number; command: string }[] {
  if (!linux) {
    return execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" })
      .split("\n")
      .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [])
      .map(([, pid, parent, command]) => ({
        pid: Number(pid),
        parent: Number(parent),
        command: command ?? "",
      }));
  }
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        // The command is in parentheses and may contain any character.
        const stat = /^(\d+) \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${entry}/stat`, "utf8"));
        return stat === null
          ? []
          : [{ pid: Number(stat[1]), parent: Number(stat[3]), command: stat[2] ?? "" }];
      } catch {
        return [];
      }
    });
}

function ps(pid: number, column: string): string {
  return execFileSync("ps", ["-o", `${column}=`, "-p", String(pid)], { encoding: "utf8" }).trim();
}
