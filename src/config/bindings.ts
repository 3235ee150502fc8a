import type { Config } from "./schema.ts";

/** The configuration as the Worker gets it: one binding for each section, for example `env.SSE.max_connections`. */
export type ConfigBindings = { [Section in keyof Config as Uppercase<Section>]: Config[Section] };

export function toBindings(config: Config): ConfigBindings {
  const bindings = Object.entries(config).map(([section, values]) => [section.toUpperCase(), values]);
  return Object.fromEntries(bindings) as ConfigBindings;
}
