import { readFileSync } from "node:fs";

import { LaunchError } from "./launch-error.ts";

/** The class of each Durable Object, by the name of its binding. */
export type ObjectClasses = Readonly<Record<string, string>>;

/**
 * Reads the bindings of the Durable Objects from wrangler.toml, so that `npm start` runs the objects that are deployed.
 * Like the compatibility date, they are read without wrangler's own reader, which takes a second to load. A test
 * compares the two.
 */
export function readObjectClasses(wranglerFile: string): ObjectClasses {
  const [, ...tables] = readFileSync(wranglerFile, "utf8").split(
    /^\[\[durable_objects\.bindings\]\][^\n]*$/m,
  );
  return Object.fromEntries(
    tables.map((text) => {
      const [table = ""] = text.split(/^\s*\[/m);
      return [stringOf("name", table, wranglerFile), stringOf("class_name", table, wranglerFile)];
    }),
  );
}

function stringOf(key: string, table: string, wranglerFile: string): string {
  const value = new RegExp(`^${key}\\s*=\\s*"([^"]*)"`, "m").exec(table)?.[1];
  if (value === undefined) {
    throw new LaunchError(`${wranglerFile}: a table [[durable_objects.bindings]] has no ${key}`);
  }
  return value;
}
