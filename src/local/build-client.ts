import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { build } from "esbuild";

import { LaunchError } from "./launch-error.ts";
import { writeIfChanged } from "./write-if-changed.ts";

/** The modules that are built from `src/client/`, and their entry points. */
const ENTRIES = { "sse-client": "client.ts", "sse-publisher": "publisher.ts" } as const;

/** The part of the licences that each copy must carry. */
const BANNER = "/*! edge-sse, MIT. Contains eventsource-parser, MIT, (c) Espen Hovlandsdal. */";

/**
 * Builds `sse-client.js` and `sse-publisher.js` and their types from `src/client/`.
 *
 * @param folder the output folder; `public/` of the project except in tests
 */
export async function buildClient(project: string, folder = join(project, "public")): Promise<void> {
  const [scripts, declarations] = await Promise.all([bundleScripts(project), emitDeclarations(project)]);
  for (const [name, text] of [...scripts, ...declarations]) {
    await writeIfChanged(join(folder, name), text);
  }
}

async function bundleScripts(project: string): Promise<[name: string, text: string][]> {
  const room = join(project, "src/client");
  const { outputFiles } = await build({
    entryPoints: Object.entries(ENTRIES).map(([out, file]) => ({ out, in: join(room, file) })),
    outdir: room,
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    banner: { js: BANNER },
    logLevel: "warning",
  });
  return outputFiles.map(({ path, text }) => [path.slice(room.length + 1), text]);
}

async function emitDeclarations(project: string): Promise<[name: string, text: string][]> {
  const folder = await mkdtemp(join(tmpdir(), "edge-sse-types-"));
  try {
    await compile([
      join(project, "node_modules/typescript/bin/tsc"),
      "--project",
      join(project, "src/client/tsconfig.json"),
      "--rootDir",
      join(project, "src"),
      "--outDir",
      folder,
      "--noEmit",
      "false",
      "--declaration",
      "--emitDeclarationOnly",
      "--stripInternal",
    ]);
    return await Promise.all(
      Object.entries(ENTRIES).map(async ([name, file]): Promise<[string, string]> => [
        `${name}.d.ts`,
        await bundleDeclarations(join(folder, "client", file.replace(/\.ts$/, ".d.ts"))),
      ]),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compile(args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, args);
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    throw new LaunchError(`src/client does not compile:\n${stdout}`, { cause: error });
  }
}

/** Joins the declarations of a module and of everything that it imports. */
async function bundleDeclarations(entry: string): Promise<string> {
  const texts = new Map<string, string>();
  const visit = async (file: string): Promise<void> => {
    if (texts.has(file)) {
      return;
    }
    texts.set(file, "");
    const source = await readFile(file, "utf8");
    for (const [, path] of source.matchAll(/^(?:import|export) .* from ["'](\..*)\.ts["'];$/gm)) {
      await visit(join(dirname(file), `${path}.d.ts`));
    }
    // Imported declarations come first.
    texts.delete(file);
    texts.set(file, source.replaceAll(/^(?:import|export) .* from ["'].*["'];\n/gm, ""));
  };
  await visit(entry);
  return [...texts.values()].join("");
}
