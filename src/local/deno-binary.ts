import { createRequire } from "node:module";
import { join } from "node:path";

import { LaunchError } from "./launch-error.ts";

/** The Deno that runs this program, or the binary of the npm package. The command `deno` of the package would start Node first. */
export function denoBinary(): string {
  if ("deno" in process.versions) {
    return process.execPath;
  }
  const libc = process.platform === "linux" ? "-glibc" : "";
  const name = `@deno/${process.platform}-${process.arch}${libc}`;
  try {
    const { resolve } = createRequire(createRequire(import.meta.url).resolve("deno/package.json"));
    return join(resolve(`${name}/package.json`), "..", process.platform === "win32" ? "deno.exe" : "deno");
  } catch (error) {
    throw new LaunchError(`there is no Deno for this platform: ${name} is not installed`, { cause: error });
  }
}
