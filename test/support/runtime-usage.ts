import { readdirSync } from "node:fs";
import { readdir } from "node:fs/promises";

import { findDescendant, residentKilobytes } from "../../bench/process-usage.ts";
import { host } from "./host.ts";
import type { Service } from "./service.ts";

/** The memory and descriptors of a service's runtime, which must not grow under an attack. */
export interface RuntimeUsage {
  residentMegabytes(): number;
  descriptors(): number;
  files(): Promise<number>;
}

export function usageOf(service: Service): RuntimeUsage {
  const pid = findDescendant(service.pid, host.name);
  if (pid === undefined) {
    throw new Error("The service has no runtime");
  }
  return {
    residentMegabytes: () => residentKilobytes(pid) / 1024,
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
    files: async () => (await readdir(service.dataDir, { recursive: true })).length,
  };
}
