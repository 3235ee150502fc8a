/** Runs the unit tests of the rooms that every host shares on Deno. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { denoBinary } from "../src/local/deno-binary.ts";

const project = join(import.meta.dirname, "..");
const rooms = ["sse", "hub", "auth", "service", "client"].map((room) => `test/unit/${room}`);
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "unit", ...rooms];

// With "auto", as deno.json has it for people without npm, Deno would replace what npm has installed.
const options = ["run", "--allow-all", "--no-lock", "--node-modules-dir=manual", ...vitest];

const { status } = spawnSync(denoBinary(), options, {
  cwd: project,
  stdio: "inherit",
});
process.exit(status ?? 1);
