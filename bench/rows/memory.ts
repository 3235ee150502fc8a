import { setTimeout as sleep } from "node:timers/promises";

import type { Cleanup } from "../cleanup.ts";
import { startFloor } from "../floor/floor.ts";
import { startGenerator } from "../generator.ts";
import type { Host } from "../host.ts";
import { residentKilobytes } from "../process-usage.ts";
import type { Bound, Row } from "../row.ts";
import { startService, type ServiceHost } from "../service.ts";
import { median } from "../statistics.ts";

const BOUNDS: Readonly<Record<ServiceHost, Bound>> = {
  workerd: { is: "below", must: 100, aim: 75 },
  deno: { is: "below", must: 55, aim: 35 },
};

const SETTLE_MS = 2_000;

/** (RSS at 1,100 clients - RSS at 100) / 1,000: the memory of a client without that of the runtime itself. */
export const memory: Row = {
  name: "memory",
  title: "memory of the runtime per idle client",
  measure: async ({ cleanup, host }) => {
    const service = await measureHost(await startService(cleanup, { host }), cleanup);
    const floor = await measureHost(await startFloor(cleanup), cleanup);
    return {
      measures: [
        {
          what: "per client",
          value: perClient(service),
          unit: "KB",
          bound: BOUNDS[host],
        },
      ],
      usage: {},
      notes: [
        `RSS ${megabytes(service.at100)} MB at 100 clients, ${megabytes(service.at1100)} MB at 1,100`,
        `the bare floor in the same run: ${perClient(floor).toFixed(1)} KB per client`,
      ],
    };
  },
};

interface Resident {
  readonly at100: number;
  readonly at1100: number;
}

async function measureHost(host: Host, cleanup: Cleanup): Promise<Resident> {
  const generator = startGenerator(cleanup);
  await generator.connect(host, "memory-1", { clients: 100, attention: "idle" });
  const at100 = await settled(host);
  // A channel has at most 1,000 clients, so the last hundred are in another channel.
  await generator.connect(host, "memory-1", { clients: 900, attention: "idle" });
  const { ends } = await generator.connect(host, "memory-2", { clients: 100, attention: "idle" });
  const at1100 = await settled(host);
  if (ends.length > 0) {
    throw new Error(`${host.name}: ${ends.length} idle clients were lost`);
  }
  await generator.stop();
  await host.stop();
  return { at100, at1100 };
}

async function settled(host: Host): Promise<number> {
  await sleep(SETTLE_MS);
  const samples: number[] = [];
  for (let sample = 0; sample < 5; sample++) {
    samples.push(residentKilobytes(host.pid));
    await sleep(100);
  }
  return median(samples);
}

function perClient({ at100, at1100 }: Resident): number {
  return ((at1100 - at100) * 1.024) / 1_000;
}

function megabytes(kilobytes: number): string {
  return ((kilobytes * 1.024) / 1_000).toFixed(0);
}
