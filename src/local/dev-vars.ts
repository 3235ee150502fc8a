import { randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";

import { LaunchError } from "./launch-error.ts";

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
    createIfMissing(file);
    const text = readFileSync(file, "utf8");
    const vars = readVars(text, file);
    const missing = TOKENS.filter((name) => vars[name] === undefined);
    if (missing.length === 0) {
      return vars;
    }
    const lines = missing.map(randomToken).join("");
    appendFileSync(file, text === "" || text.endsWith("\n") ? lines : `\n${lines}`);
    chmodSync(file, 0o600);
    return { ...vars, ...readVars(lines, file) };
  } catch (error) {
    if (error instanceof LaunchError) {
      throw error;
    }
    throw new LaunchError(`the tokens cannot be kept: ${(error as Error).message}`, { cause: error });
  }
}

/** By way of a link, which either is there with all that is in it or is not: another start may be doing the same. */
function createIfMissing(file: string): void {
  const complete = `${file}.${process.pid}.new`;
  const header = "# Secrets of this machine, read by `npm start` and `wrangler dev`. Never commit them.\n";
  writeFileSync(complete, header + TOKENS.map(randomToken).join(""), { mode: 0o600 });
  try {
    linkSync(complete, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw error;
    }
  } finally {
    rmSync(complete, { force: true });
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
