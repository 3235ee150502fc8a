import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { build } from "esbuild";

import { writeIfChanged } from "./write-if-changed.ts";

/** Files of other packages that the service serves, so that no page loads anything from another origin. */
const VENDORED = {
  "htmx-2.js": "htmx.org/dist/htmx.min.js",
  "htmx-2-sse.js": "htmx-ext-sse/dist/sse.min.js",
  "htmx-4.js": "htmx4/dist/htmx.min.js",
  "htmx-4-sse.js": "htmx4/dist/ext/hx-sse.min.js",
} as const;

/**
 * Builds the console from `src/console/` and `htmx-sse.js` from `src/htmx/`, and copies HTMX.
 *
 * @param folder the output folder; `public/` of the project except in tests
 */
export async function buildPages(project: string, folder = join(project, "public")): Promise<void> {
  const files = await Promise.all([bundle(project, folder), vendor(project, folder)]);
  await Promise.all(files.flat().map(([file, content]) => writeIfChanged(file, content)));
}

type File = readonly [file: string, content: Uint8Array];

async function bundle(project: string, folder: string): Promise<File[]> {
  const { outputFiles } = await build({
    entryPoints: {
      "console/console": join(project, "src/console/console.ts"),
      "console/style": join(project, "src/console/console.css"),
      "htmx-sse": join(project, "src/htmx/htmx-sse.ts"),
    },
    outdir: folder,
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    // Licences must stay with the code that they cover.
    banner: { js: "/*! edge-sse, MIT. The console contains uPlot, MIT, (c) Leon Sorokin. */" },
    external: ["/sse-client.js"],
    logLevel: "warning",
  });
  return outputFiles.map(({ path, contents }) => [path, contents]);
}

function vendor(project: string, folder: string): Promise<File[]> {
  const { resolve } = createRequire(join(project, "package.json"));
  return Promise.all(
    Object.entries(VENDORED).map(async ([name, path]): Promise<File> => [
      join(folder, "vendor", name),
      await readFile(resolve(path)),
    ]),
  );
}
