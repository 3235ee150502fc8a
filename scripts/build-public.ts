/** Builds what is served from `public/` but not kept in the tree. */
import { resolve } from "node:path";

import { buildPages } from "../src/local/build-pages.ts";

try {
  await buildPages(resolve(import.meta.dirname, ".."));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
