import { readFileSync } from "node:fs";
import { relative } from "node:path";

import { compileConfig, type Compiled } from "../config/compile.ts";
import { LaunchError } from "./launch-error.ts";

/** Compiles a configuration file. Throws a `LaunchError` if the file cannot be read. */
export function compileConfigFile(file: string): Compiled {
  return compileConfig(readText(file), relative(process.cwd(), file));
}

function readText(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const reason = error instanceof TypeError ? "it is not UTF-8 text" : (error as Error).message;
    throw new LaunchError(`${file}: the configuration cannot be read: ${reason}`, { cause: error });
  }
}
