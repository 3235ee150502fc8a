import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";

/** What the system says of a process. */
export interface ProcessFacts {
  /** The command line; empty for a process that has ended and whose parent has not noticed. */
  readonly command: string;
  /** When it started: tells it from another one that has its number later, also after the machine has booted again. */
  readonly startedAt: string;
  /** The number of the user that it runs as. */
  readonly user: number;
}

/** Nothing if there is no process of that number, or none that this user may see. */
export function factsOf(pid: number): ProcessFacts | undefined {
  try {
    return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
  } catch {
    return undefined;
  }
}

function fromProc(pid: number): ProcessFacts {
  const folder = `/proc/${pid}`;
  // The name stands in brackets and may contain any character; the 20th field after it counts ticks since the boot.
  const ticks = readFileSync(`${folder}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19] ?? "";
  return {
    command: readFileSync(`${folder}/cmdline`, "utf8").replaceAll("\0", " "),
    startedAt: `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}:${ticks}`,
    user: statSync(folder).uid,
  };
}

function fromPs(pid: number): ProcessFacts {
  const line = execFileSync("ps", ["-ww", "-p", String(pid), "-o", "uid=,lstart=,command="], {
    encoding: "utf8",
    stdio: "pipe",
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
  });
  const [, user, startedAt = "", command = ""] = /^\s*(\d+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/m.exec(line) ?? [];
  return { command, startedAt: startedAt.replaceAll(/\s+/g, " "), user: Number(user) };
}
