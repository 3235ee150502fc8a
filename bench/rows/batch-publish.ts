import { batchBody } from "../event.ts";
import { openPublisher } from "../publisher.ts";
import type { Bound, Row } from "../row.ts";
import { startService, type ServiceHost } from "../service.ts";
import { median } from "../statistics.ts";
import { meterUsage } from "../usage.ts";

const BOUNDS: Readonly<Record<ServiceHost, Bound>> = {
  workerd: { is: "at least", must: 15_000, aim: 40_000 },
  deno: { is: "at least", must: 100_000, aim: 200_000 },
};

const BATCH_EVENTS = 1_000;
const CALLERS = 2;
const ROUNDS = 3;
const ROUND_SECONDS = 1.5;

/** Publishes arrays of 1,000 events. Each array is durable before it is acknowledged. */
export const batchPublish: Row = {
  name: "batch-publish",
  title: `batch publish, ${BATCH_EVENTS} events a call, ${CALLERS} callers`,
  measure: async ({ cleanup, seconds, host }) => {
    const service = await startService(cleanup, { host });
    const publisher = openPublisher(service, service.publishPath("batch"));
    cleanup.add(() => publisher.close());
    const body = batchBody(BATCH_EVENTS);
    await publisher.publish(body);
    const usage = await meterUsage(service.pid);
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const startedAt = performance.now();
      let events = 0;
      const call = async (): Promise<void> => {
        while (performance.now() - startedAt < (seconds ?? ROUND_SECONDS) * 1_000) {
          await publisher.publish(body);
          events += BATCH_EVENTS;
        }
      };
      await Promise.all(Array.from({ length: CALLERS }, call));
      rates.push((events / (performance.now() - startedAt)) * 1_000);
    }
    return {
      measures: [
        {
          what: "events/s",
          value: median(rates),
          unit: "/s",
          bound: BOUNDS[host],
        },
      ],
      usage: { [service.name]: await usage() },
      notes: [`rounds: ${rates.map((rate) => Math.round(rate)).join(" ")}`],
    };
  },
};
