import { readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";

import { startService, type Service } from "./service.ts";

type Section = Readonly<Record<string, unknown>>;

/** The configuration of deploy/, which the proxies there expect. */
const SHIPPED = parse(
  readFileSync(join(import.meta.dirname, "../../deploy/config.yaml"), "utf8"),
) as Readonly<Record<string, Section>>;

/**
 * Starts the service with the configuration of deploy/, on every channel and with one stream for each address, so that
 * a test can tell two addresses apart.
 */
export function startSelfHosted(sse: Section = {}): Promise<Service> {
  return startService({
    config: {
      ...SHIPPED,
      sse,
      channels: { allowed: ["*"] },
      limits: {
        ...SHIPPED["limits"],
        exempt_addresses: [],
        max_connections_per_address: 1,
        max_new_channels_per_hour_per_address: 0,
      },
    },
  });
}
