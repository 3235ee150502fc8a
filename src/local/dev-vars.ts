import { randomBytes, randomUUID } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { parseEnv } from "node:util";

import { LaunchError } from "./launch-error.ts";
import { log } from "./log.ts";
import { isOpenToOthers, isOurs, withOwn } from "./ownership.ts";

const TOKENS = ["PUBLISH_TOKEN", "ADMIN_TOKEN"] as const;

/** Secrets that only some configurations need: nobody makes them up, but the environment may have them. */
const OPTIONAL = ["SUBSCRIBE_TOKEN", "METRICS_TOKEN", "JWT_SECRET"] as const;

/**
 * The secrets of this machine: everything in .dev.vars, as `wrangler dev` reads it. The tokens that are missing are
 * made up and added, so that the next start has the same ones. A variable of the same name in the environment wins,
 * even an empty one: an empty token closes the routes that it guards.
 */
export function readDevVars(file: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const vars = withTokens(file);
  const names = [...Object.keys(vars), ...OPTIONAL.filter((name) => env[name] !== undefined)];
  return Object.fromEntries(names.map((name) => [name, env[name] ?? vars[name] ?? ""]));
}

function withTokens(file: string): Record<string, string> {
  try {
    return withOwn(
      createIfMissing(file),
      (stats) => isOurs(stats.uid) || isKeptByRoot(stats),
      (descriptor, stats) => {
        closeToOthers(file, descriptor, stats);
        const text = readFileSync(descriptor, "utf8");
        const vars = readVars(text, file);
        const lines = TOKENS.filter((name) => vars[name] === undefined)
          .map(randomToken)
          .join("");
        if (lines === "") {
          return vars;
        }
        append(file, stats, text === "" || text.endsWith("\n") ? lines : `\n${lines}`);
        return { ...vars, ...readVars(lines, file) };
      },
    );
  } catch (error) {
    if (error instanceof LaunchError) {
      throw error;
    }
    throw new LaunchError(`the tokens cannot be kept: ${(error as Error).message}`, { cause: error });
  }
}

/** By way of a link, which either is there with all that is in it or is not: another start may be doing the same. */
function createIfMissing(file: string): string {
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    return file;
  }
  const complete = `${file}.${randomUUID()}.new`;
  const header = "# Secrets of this machine, read by `npm start` and `wrangler dev`. Never commit them.\n";
  // Neither guessable nor opened if it exists: a link that another user has planted there cannot lead the tokens away.
  writeFileSync(complete, header + TOKENS.map(randomToken).join(""), { mode: 0o600, flag: "wx" });
  try {
    linkSync(complete, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw error;
    }
  } finally {
    rmSync(complete, { force: true });
  }
  return file;
}

/** An operator may give a service the right to read a file of secrets by its group. */
function isKeptByRoot({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & 0o027) === 0;
}

function closeToOthers(file: string, descriptor: number, stats: Stats): void {
  if (!isOurs(stats.uid) || !isOpenToOthers(stats)) {
    return;
  }
  fchmodSync(descriptor, 0o600);
  log("warn", "dev_vars_closed", {
    file,
    detail: "other users could read the secrets in this file: its mode is 600 now, consider new secrets",
  });
}

/** To the file that was checked, and not to one that has taken its place. */
function append(file: string, checked: Stats, lines: string): void {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  try {
    const { dev, ino } = fstatSync(descriptor);
    if (dev !== checked.dev || ino !== checked.ino) {
      throw new LaunchError(`${file} was replaced while it was read`);
    }
    appendFileSync(descriptor, lines);
  } finally {
    closeSync(descriptor);
  }
}

function readVars(text: string, file: string): Record<string, string> {
  const vars = Object.entries(parseEnv(text)).map(([name, value]) => [name, value ?? ""] as const);
  const bad = vars.find(([name]) => !/^[A-Za-z_]\w*$/.test(name));
  if (bad !== undefined) {
    throw new LaunchError(`${file}: ${JSON.stringify(bad[0])} is not the name of a variable`);
  }
  return Object.fromEntries(vars);
}

function randomToken(name: string): string {
  return `${name}=${randomBytes(32).toString("hex")}\n`;
}
