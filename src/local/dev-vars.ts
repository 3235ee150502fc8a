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

/** Secrets that only some configurations need. They are never generated, but the environment may set them. */
const OPTIONAL = ["SUBSCRIBE_TOKEN", "METRICS_TOKEN", "JWT_SECRET"] as const;

/**
 * Reads the secrets of this machine: everything in .dev.vars, as `wrangler dev` reads it. Missing tokens are
 * generated and added to the file, so that the next start has the same ones. A variable of the same name in the
 * environment takes precedence, even if it is empty: an empty token closes the routes that it guards.
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
    throw new LaunchError(`cannot read or write the tokens: ${(error as Error).message}`, { cause: error });
  }
}

/** Creates the file complete, by a link, because another start may be creating it at the same time. */
function createIfMissing(file: string): string {
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    return file;
  }
  const complete = `${file}.${randomUUID()}.new`;
  const header = "# Secrets of this machine, read by `npm start` and `wrangler dev`. Never commit them.\n";
  // The name cannot be guessed, and an existing file is never opened: a link planted by another user cannot redirect
  // the tokens.
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

/** A file of root that only root and one group can read: operators share secrets with a service in this way. */
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
    detail: "other users could read the secrets in this file; its mode is now 600. Replace these secrets",
  });
}

/** Appends to the file that was checked, and never to one that has taken its place. */
function append(file: string, checked: Stats, lines: string): void {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  try {
    const { dev, ino } = fstatSync(descriptor);
    if (dev !== checked.dev || ino !== checked.ino) {
      throw new LaunchError(`${file} was replaced while it was being read`);
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
    throw new LaunchError(`${file}: ${JSON.stringify(bad[0])} is not a valid variable name`);
  }
  return Object.fromEntries(vars);
}

function randomToken(name: string): string {
  return `${name}=${randomBytes(32).toString("hex")}\n`;
}
