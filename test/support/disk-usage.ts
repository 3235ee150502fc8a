import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Bytes of the databases below a folder, and of their write-ahead logs. */
export function diskUsage(folder: string): { database: number; writeAhead: number } {
  const usage = { database: 0, writeAhead: 0 };
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const kind = name.endsWith("-wal") ? "writeAhead" : name.endsWith(".sqlite") ? "database" : null;
    if (kind !== null) {
      usage[kind] += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return usage;
}
