import { z } from "zod";

import { closest, describeValue, formatPath, type Mistake } from "./mistake.ts";
import { configSchema, type Config } from "./schema.ts";
import { readYaml, type YamlSource } from "./yaml-source.ts";

export type Compiled =
  | { readonly config: Config; readonly warnings: readonly Mistake[]; readonly mistakes?: never }
  | { readonly config?: never; readonly warnings?: never; readonly mistakes: readonly Mistake[] };

/** Compiles the text of config.yaml into a complete configuration, or lists every mistake in it. */
export function compileConfig(text: string, file: string): Compiled {
  const source = readYaml(text);
  const value = withoutEmptySections(source.value ?? {});
  const checked = configSchema.safeParse(value);
  const found = [
    ...source.slips,
    ...(checked.error?.issues ?? []).flatMap((issue) => explain(issue, value, source)),
  ];
  const located = ({ offset, path, problem }: Found): Mistake => ({
    file,
    ...source.position(offset),
    path: formatPath(path),
    problem,
  });
  if (checked.success && found.length === 0) {
    return { config: checked.data, warnings: risksOf(checked.data, source).map(located) };
  }
  const mistakes = found.toSorted((a, b) => a.offset - b.offset).map(located);
  return { mistakes: withoutRepeated(mistakes) };
}

/** Settings that are valid but seldom intended. */
function risksOf({ auth, sse, limits, relays }: Config, source: YamlSource): Found[] {
  const at = (path: readonly string[], problem: string): Found => ({
    offset: source.valueOffset(path),
    path,
    problem,
  });
  const isOpen = auth.metrics.includes("public") && !auth.subscribe.includes("public");
  const seats = relays.max * limits.clients_per_object;
  return [
    ...(isOpen ? [at(["auth", "metrics"], OPEN_NUMBERS)] : []),
    ...(sse.max_connections > seats
      ? [
          at(
            ["sse", "max_connections"],
            `relays.max times limits.clients_per_object allows only ${seats} clients; raise relays.max`,
          ),
        ]
      : []),
  ];
}

const OPEN_NUMBERS =
  "anyone can read how many clients and events each channel has, although auth.subscribe is not public; " +
  "to guard these numbers, set token or jwt";

interface Found {
  readonly offset: number;
  readonly path: readonly PropertyKey[];
  readonly problem: string;
}

function explain(issue: z.core.$ZodIssue, value: unknown, source: YamlSource): Found[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { offset: source.keyOffset(path), path, problem: unknownKey(key, issue.path) };
    });
  }
  const problem = `expected ${issue.message}, got ${describeValue(valueAt(value, issue.path))}`;
  return [{ offset: source.valueOffset(issue.path), path: issue.path, problem }];
}

function unknownKey(key: string, section: readonly PropertyKey[]): string {
  const siblings = Object.keys(shapeAt(section));
  const meant = closest(key, siblings) ?? elsewhere(key);
  const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
  return `unknown key${hint}: expected one of ${siblings.join(", ")}`;
}

/** Finds the section of a key that stands in the wrong place, most often because it lost its indentation. */
function elsewhere(key: string): string | undefined {
  const section = Object.keys(configSchema.shape).find((name) => Object.hasOwn(shapeAt([name]), key));
  return section === undefined ? undefined : `${section}.${key}`;
}

function shapeAt(path: readonly PropertyKey[]): z.core.$ZodShape {
  return path.reduce<z.core.$ZodShape>(
    (shape, step) => shapeOf(Object.hasOwn(shape, step) ? shape[String(step)] : undefined),
    configSchema.shape,
  );
}

function shapeOf(schema: unknown): z.core.$ZodShape {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault) {
    return shapeOf(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) {
    return shapeOf(schema.in);
  }
  return schema instanceof z.ZodObject ? schema.shape : {};
}

/** A section whose keys are all commented out has the value null. It counts as absent. */
function withoutEmptySections(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).filter(([key, section]) => !(section === null && isSection(key))),
  );
}

function isSection(key: string): boolean {
  return Object.hasOwn(configSchema.shape, key);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (here, step) => (here as Record<PropertyKey, unknown> | undefined)?.[step],
    value,
  );
}

/** A number that is neither an integer nor in range is reported twice with the same words. Keep one report. */
function withoutRepeated(mistakes: readonly Mistake[]): Mistake[] {
  const seen = new Map(mistakes.map((mistake) => [JSON.stringify(mistake), mistake]));
  return [...seen.values()];
}
