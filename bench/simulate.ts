/** `npm run simulate`: computes from measured costs what a channel of up to a million clients needs, and what it costs. */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { capacity } from "./capacity/capacity.ts";
import { DOCUMENTS, filled, tablesOf } from "./capacity/documents.ts";

const USAGE = `Usage: npm run simulate -- [options]

  --json         print JSON instead of tables
  --write        put the tables into ${DOCUMENTS.join(" and ")}
  -h, --help     print this text

The simulation measures nothing, and its random numbers have a fixed seed: the same code prints the same tables.
docs/capacity.md says which numbers were measured, and which are assumed.`;

const { json, write, help } = readOptions();
if (help === true) {
  console.log(USAGE);
} else if (json === true) {
  console.log(JSON.stringify(capacity(), null, 2));
} else if (write === true) {
  const tables = tablesOf();
  for (const document of DOCUMENTS) {
    writeFileSync(document, filled(readFileSync(document, "utf8"), tables));
  }
} else {
  for (const [name, table] of tablesOf()) {
    console.log(`${name}\n\n${table}\n`);
  }
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        json: { type: "boolean" },
        write: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    console.error(`npm run simulate: ${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
