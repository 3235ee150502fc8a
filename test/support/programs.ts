import { execFileSync } from "node:child_process";

/** Debian keeps servers where only root looks for programs. */
export const PATHS = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;

/** Which of these programs the machine does not have; undefined: it has them all. */
export function lackOfPrograms(programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !isInstalled(program));
  return missing.length === 0 ? undefined : `this machine has no ${missing.join(" and no ")}`;
}

/** The title of tests that cannot run everywhere. It says why they are skipped, and so does a line that is printed. */
export function titleWith(title: string, lack: string | undefined): string {
  if (lack === undefined) {
    return title;
  }
  console.warn(`Not tested: ${title}. The reason: ${lack}.`);
  return `${title} (skipped: ${lack})`;
}

function isInstalled(program: string): boolean {
  try {
    execFileSync("/bin/sh", ["-c", 'command -v "$0"', program], { env: { PATH: PATHS }, stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}
