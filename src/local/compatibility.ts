import { readFileSync } from "node:fs";

import { LaunchError } from "./launch-error.ts";

export interface Compatibility {
  readonly date: string;
  readonly flags: readonly string[];
}

/**
 * Reads the compatibility date and flags from the top of wrangler.toml. wrangler's own reader takes a second to load,
 * and every start would wait for it. A test compares the result with wrangler's.
 */
export function readCompatibility(wranglerFile: string): Compatibility {
  const [top = ""] = readFileSync(wranglerFile, "utf8").split(/^\s*\[/m);
  const date = /^compatibility_date\s*=\s*"([^"]*)"/m.exec(top)?.[1];
  const flags = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(top)?.[1] ?? "";
  if (date === undefined) {
    throw new LaunchError(`${wranglerFile}: expected a compatibility_date above the first table`);
  }
  return {
    date,
    flags: [...flags.replaceAll(/#.*/g, "").matchAll(/"([^"]*)"/g)].map(([, flag = ""]) => flag),
  };
}
