import { setTimeout as sleep } from "node:timers/promises";

import { startGenerator } from "../generator.ts";
import type { Row } from "../row.ts";
import { startService } from "../service.ts";
import { meterUsage } from "../usage.ts";

const SETTLE_MS = 2_000;
const SECONDS = 10;

/** Shorter than the default of 30, so that the measurement includes heartbeats. */
const HEARTBEAT_SECONDS = 4;

/** The CPU usage of 100 clients that get only heartbeats. */
export const idleCpu: Row = {
  name: "idle-cpu",
  title: "CPU with 100 idle clients",
  measure: async ({ cleanup, seconds, host }) => {
    const service = await startService(cleanup, { host, heartbeatSeconds: HEARTBEAT_SECONDS });
    const generator = startGenerator(cleanup);
    await generator.connect(service, "idle", { clients: 100, attention: "idle" });
    await sleep(SETTLE_MS);
    const usage = await meterUsage(service.pid, generator);
    await sleep((seconds ?? SECONDS) * 1_000);
    const used = await usage();
    return {
      measures: [
        {
          what: "share of a core",
          value: used.runtime * 100,
          unit: "%",
          bound: { is: "below", must: 2, aim: 0.5 },
        },
      ],
      usage: { [service.name]: used },
      notes: [`${seconds ?? SECONDS} s with a heartbeat every ${HEARTBEAT_SECONDS} s (default: 30 s)`],
    };
  },
};
