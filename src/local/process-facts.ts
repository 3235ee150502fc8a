import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";

/** Facts about a process, as the system reports them. */
export interface ProcessFacts {
  /** The command line; empty for a process that has ended but that its parent has not reaped. */
  readonly command: string;
  /** When it started. Tells it apart from a later process with the same id, also after a reboot. */
  readonly startedAt: string;
  /** The id of the user that it runs as. */
  readonly user: number;
}

/** Undefined if there is no such process, or if this user may not see it. */
export function factsOf(pid: number): ProcessFacts | undefined {
  try {
    return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
  } catch {
    return undefined;
  }
}

function fromProc(pid: number): ProcessFacts {
  const folder = `/proc/${pid}`;
  // The name is in parentheses and may contain any character. The 20th field after it is the start time in ticks
  // since boot.
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
