import { readFileSync } from "node:fs";

import { LaunchError } from "./launch-error.ts";

export interface Compatibility {
  readonly date: string;
  readonly flags: readonly string[];
}

/**
 * What wrangler.toml says about the behaviour of the runtime. wrangler's own reader takes a second to load, which
 * every start would wait for; these two keys stand at the top of the file, and a test compares with wrangler.
 */
export function readCompatibility(wranglerFile: string): Compatibility {
  const [top = ""] = readFileSync(wranglerFile, "utf8").split(/^\s*\[/m);
  const date = /^compatibility_date\s*=\s*"([^"]*)"/m.exec(top)?.[1];
  const flags = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(top)?.[1] ?? "";
  if (date === undefined) {
    throw new LaunchError(`${wranglerFile}: no compatibility_date above the first table`);
  }
  return {
    date,
    flags: [...flags.replaceAll(/#.*/g, "").matchAll(/"([^"]*)"/g)].map(([, flag = ""]) => flag),
  };
}
