/** `npm run build`: builds what is served from `public/` but not kept in the tree. */
import { resolve } from "node:path";

import { buildPublic } from "../src/local/build-public.ts";

try {
  await buildPublic(resolve(import.meta.dirname, ".."));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
