/** `npm run build`: builds the files in `public/` that are not committed. */
import { resolve } from "node:path";

import { buildPublic } from "../src/local/build-public.ts";

try {
  await buildPublic(resolve(import.meta.dirname, ".."));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
