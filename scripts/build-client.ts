/** Builds what browsers and producers import, from `src/client/` into `public/`. */
import { resolve } from "node:path";

import { buildClient } from "../src/local/build-client.ts";

try {
  await buildClient(resolve(import.meta.dirname, ".."));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
