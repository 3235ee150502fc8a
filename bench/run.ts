/** `npm run bench`: measures the numbers that the service promises, on the real runtime over real sockets. */
import { parseArgs } from "node:util";

import { createCleanup } from "./cleanup.ts";
import { allKept, tableHead, tableRow, toJson, type Result } from "./report.ts";
import type { Row } from "./row.ts";
import { batchPublish } from "./rows/batch-publish.ts";
import { floodRow } from "./rows/flood.ts";
import { fanOut } from "./rows/fan-out.ts";
import { idleCpu } from "./rows/idle-cpu.ts";
import { latencyRow } from "./rows/latency.ts";
import { memory } from "./rows/memory.ts";
import { publish } from "./rows/publish.ts";
import { relayCrowd } from "./rows/relay-crowd.ts";
import { relayFanOut } from "./rows/relay-fan-out.ts";
import { relayLatency } from "./rows/relay-latency.ts";
import { replay } from "./rows/replay.ts";
import { isServiceHost, SERVICE_HOSTS, type ServiceHost } from "./service.ts";

const ROWS: readonly Row[] = [
  latencyRow("latency-100", {
    clients: 100,
    eventsPerSecond: 50,
    percentile: 95,
    bound: { is: "below", must: 100, aim: 20 },
    againstNode: { deno: { is: "below", must: 1.3, aim: 1 } },
  }),
  latencyRow("latency-1000", {
    clients: 1_000,
    eventsPerSecond: 10,
    percentile: 99,
    bound: { is: "below", must: 250, aim: 100 },
    againstNode: { deno: { is: "below", must: 1, aim: 0.8 } },
  }),
  fanOut,
  memory,
  idleCpu,
  publish,
  batchPublish,
  replay,
  floodRow,
  relayLatency,
  relayFanOut,
  relayCrowd,
];

const USAGE = `Usage: npm run bench -- [options]

  --only ROW     run only this row; may be repeated (${ROWS.map(({ name }) => name).join(", ")})
  --host HOST    measure only this host; may be repeated (${SERVICE_HOSTS.join(", ")}; default: both)
  --seconds N    the length of one measurement (default: set by each row)
  --json         print JSON instead of a table
  -h, --help     print this text

The exit code is 1 if a row misses a required value ("must") or cannot be measured.`;

const { only, hosts, seconds, json, help } = readOptions();
if (help === true) {
  console.log(USAGE);
  process.exit(0);
}

const cleanup = createCleanup();
let stopped = false;
process.on("SIGINT", () => stop(130));
process.on("SIGTERM", () => stop(143));
process.on("uncaughtException", (error) => {
  console.error(error);
  stop(1);
});

if (json !== true) {
  console.log(tableHead());
}
const results: Result[] = [];
const chosen = ROWS.filter(({ name }) => only === undefined || only.includes(name));
const runs = chosen.flatMap((row) =>
  hosts.filter((host) => row.hosts?.includes(host) ?? true).map((host) => ({ row, host })),
);
for (const { row, host } of runs) {
  const result = await measure(row, host);
  if (stopped) {
    break;
  }
  results.push(result);
  if (json !== true) {
    console.log(tableRow(result));
  }
}
if (!stopped) {
  if (json === true) {
    console.log(toJson(results));
  }
  process.exit(allKept(results) ? 0 : 1);
}

/** Stops everything that was started, then this process. */
function stop(code: number): void {
  stopped = true;
  void cleanup.finish().then(() => process.exit(code));
}

async function measure(row: Row, host: ServiceHost): Promise<Result> {
  const startedAt = performance.now();
  const took = (): number => (performance.now() - startedAt) / 1_000;
  try {
    const outcome = await row.measure({ cleanup, seconds, host });
    return { row, host, outcome, seconds: took() };
  } catch (error) {
    return { row, host, failure: error instanceof Error ? error.message : String(error), seconds: took() };
  } finally {
    await cleanup.run();
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true },
        host: { type: "string", multiple: true },
        seconds: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const unknown = values.only?.find((name) => !ROWS.some((row) => row.name === name));
    if (unknown !== undefined) {
      throw new Error(`there is no row called ${unknown}`);
    }
    const named = values.host ?? SERVICE_HOSTS;
    if (!named.every(isServiceHost)) {
      throw new Error(`--host is one of ${SERVICE_HOSTS.join(", ")}`);
    }
    const length = values.seconds === undefined ? null : Number(values.seconds);
    if (length !== null && !(length >= 0.1 && length <= 600)) {
      throw new Error("--seconds must be a number from 0.1 to 600");
    }
    return { ...values, hosts: named, seconds: length };
  } catch (error) {
    console.error(`npm run bench: ${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
