/**
 * `npm run config`: compiles config.yaml into the generated block of wrangler.toml.
 *
 *   --check           writes nothing, and fails if the configuration is invalid or wrangler.toml is out of date
 *   --config FILE     the configuration (default: config.yaml of this project)
 *   --wrangler FILE   the file that gets the block (default: wrangler.toml of this project)
 */
import { readFileSync, statSync } from "node:fs";
import { basename, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { toBindings } from "../src/config/bindings.ts";
import { formatMistake } from "../src/config/mistake.ts";
import { renderVars, withVars } from "../src/config/wrangler-vars.ts";
import { compileConfigFile } from "../src/local/config-file.ts";
import { replaceFile } from "../src/local/replace-file.ts";

const project = resolve(import.meta.dirname, "..");

try {
  process.exitCode = main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function main(): number {
  const { values: flags } = parseArgs({
    options: {
      check: { type: "boolean", default: false },
      config: { type: "string", default: resolve(project, "config.yaml") },
      wrangler: { type: "string", default: resolve(project, "wrangler.toml") },
    },
  });
  const { config, warnings, mistakes } = compileConfigFile(flags.config);
  if (mistakes !== undefined) {
    console.error(mistakes.map(formatMistake).join("\n"));
    return 1;
  }
  for (const warning of warnings) {
    console.error(`warning: ${formatMistake(warning)}`);
  }
  const before = readFileSync(flags.wrangler, "utf8");
  const after = withVars(before, renderVars(toBindings(config)));
  if (after === before) {
    return 0;
  }
  if (flags.check) {
    console.error(`${basename(flags.config)} has changed since it was compiled: run npm run config`);
    return 1;
  }
  replaceFile(flags.wrangler, after, statSync(flags.wrangler).mode);
  console.log(`Compiled ${shown(flags.config)} into ${shown(flags.wrangler)}`);
  return 0;
}

function shown(file: string): string {
  return relative(process.cwd(), file);
}
