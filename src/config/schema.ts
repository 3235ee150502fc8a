/**
 * Every key of config.yaml with its meaning, its bounds and its default. The folder `schema` has one file for each section.
 * No other code repeats them.
 *
 * Only the compiler runs these files. The Worker imports nothing but their types, so that zod stays out of the bundle.
 */
import type { z } from "zod";

import { auth } from "./schema/auth.ts";
import { channels } from "./schema/channels.ts";
import { cors } from "./schema/cors.ts";
import { filters } from "./schema/filters.ts";
import { history } from "./schema/history.ts";
import { hosts } from "./schema/hosts.ts";
import { limits } from "./schema/limits.ts";
import { logging } from "./schema/logging.ts";
import { relays } from "./schema/relays.ts";
import { sse } from "./schema/sse.ts";
import { section } from "./schema/parts.ts";

/** The whole of config.yaml. An empty file is valid: every key then has its default. */
export const configSchema = section({
  sse: sse.prefault({}),
  channels: channels.prefault({}),
  filters: filters.prefault({}),
  history: history.prefault({}),
  limits: limits.prefault({}),
  auth: auth.prefault({}),
  cors: cors.prefault({}),
  hosts: hosts.prefault({}),
  relays: relays.prefault({}),
  logging: logging.prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type AuthConfig = Config["auth"];
export type JwtConfig = AuthConfig["jwt"];
export type CorsConfig = Config["cors"];
