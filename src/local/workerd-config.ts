import { join } from "node:path";

import type { ConfigBindings } from "../config/bindings.ts";
import { readCompatibility, type Compatibility } from "./compatibility.ts";
import type { DataFolder } from "./data-folder.ts";
import { readObjectClasses, type ObjectClasses } from "./durable-objects.ts";
import { replaceFile } from "./replace-file.ts";
import { secretVariable } from "./runtime.ts";

export interface WorkerdConfig {
  readonly compatibility: Compatibility;
  /** The Durable Objects of the Worker. The name of a class also names the storage of its objects. */
  readonly objects: ObjectClasses;
  readonly bindings: ConfigBindings;
  /** Names only. The values are in the environment of the runtime. */
  readonly secrets: readonly string[];
  readonly publicFolder: string;
  readonly storageFolder: string;
}

/** Writes the configuration of the runtime next to the bundles that it embeds. */
export function writeWorkerdConfig({
  project,
  folder,
  ...names
}: Pick<WorkerdConfig, "bindings" | "secrets"> & { project: string; folder: DataFolder }): string {
  const file = join(folder.build, "workerd.capnp");
  const wranglerFile = join(project, "wrangler.toml");
  const config = renderWorkerdConfig({
    ...names,
    compatibility: readCompatibility(wranglerFile),
    objects: readObjectClasses(wranglerFile),
    publicFolder: join(project, "public"),
    storageFolder: folder.storage,
  });
  replaceFile(file, config, 0o600);
  return file;
}

/** The configuration of workerd as Cap'n Proto text. `embed` is relative to the file itself. */
export function renderWorkerdConfig(config: WorkerdConfig): string {
  const { compatibility, objects, bindings, secrets, publicFolder, storageFolder } = config;
  const dateAndFlags = `compatibilityDate = ${text(compatibility.date)},
      compatibilityFlags = ${list(compatibility.flags.map(text))},`;
  const classes = Object.values(objects).map(
    (name) => `(className = ${text(name)}, uniqueKey = ${text(`edge-sse-${name}`)}, enableSql = true)`,
  );
  const workerBindings = [
    ...Object.entries(bindings).map(
      ([name, value]) => `(name = ${text(name)}, json = ${text(JSON.stringify(value))})`,
    ),
    ...Object.entries(objects).map(
      ([name, of]) => `(name = ${text(name)}, durableObjectNamespace = ${text(of)})`,
    ),
    ...secrets.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(secretVariable(name))})`),
    `(name = "ASSETS", service = "assets")`,
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  sockets = [(name = "http", http = (), service = "edge-sse")],
  services = [
    (name = "edge-sse", worker = (
      ${dateAndFlags}
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      bindings = ${list(workerBindings)},
      durableObjectNamespaces = ${list(classes)},
      durableObjectStorage = (localDisk = "storage"),
    )),
    (name = "assets", worker = (
      ${dateAndFlags}
      modules = [(name = "assets.js", esModule = embed "assets.js")],
      bindings = [(name = "PUBLIC", service = "public")],
    )),
    (name = "public", disk = (path = ${text(publicFolder)})),
    # The Worker fetches only the key set of config.yaml, which may be on this machine or in its network.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    (name = "storage", disk = (path = ${text(storageFolder)}, writable = true)),
  ],
);
`;
}

function list(items: readonly string[]): string {
  return `[${items.map((item) => `\n        ${item},`).join("")}\n      ]`;
}

/** A string in Cap'n Proto text. Bytes that are not plain ASCII are escaped. */
function text(value: string): string {
  const bytes = [...Buffer.from(value, "utf8")].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[ -~]/.test(character) && !/["\\]/.test(character)
      ? character
      : String.raw`\x${byte.toString(16).padStart(2, "0")}`;
  });
  return `"${bytes.join("")}"`;
}
