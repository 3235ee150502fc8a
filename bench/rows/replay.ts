import { batchBody } from "../event.ts";
import { startGenerator, type Generator } from "../generator.ts";
import type { Host } from "../host.ts";
import { openPublisher } from "../publisher.ts";
import type { Bound, Row } from "../row.ts";
import { startService, type ServiceHost } from "../service.ts";
import { median } from "../statistics.ts";
import { meterUsage } from "../usage.ts";

const BOUNDS: Readonly<Record<ServiceHost, Bound>> = {
  workerd: { is: "at least", must: 50_000, aim: 200_000 },
  deno: { is: "at least", must: 500_000, aim: 1_000_000 },
};

const EVENTS = 100_000;
const BATCH_EVENTS = 1_000;
const ROUNDS = 3;
const PATIENCE_MS = 20_000;

/** Replays the whole log to one client, measured from the request to the last event. */
export const replay: Row = {
  name: "replay",
  title: `replay of ${EVENTS} events to one client`,
  measure: async ({ cleanup, host }) => {
    const service = await startService(cleanup, { host });
    const publisher = openPublisher(service, service.publishPath("replay"));
    cleanup.add(() => publisher.close());
    const body = batchBody(BATCH_EVENTS);
    for (let published = 0; published < EVENTS; published += BATCH_EVENTS) {
      await publisher.publish(body);
    }
    const generator = startGenerator(cleanup);
    await verify(service, generator);
    const usage = await meterUsage(service.pid, generator);
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const startedAt = performance.now();
      await generator.connect(service, "replay", { clients: 1, attention: "newest", lastEventId: "0" });
      await generator.ask({ do: "reach", id: EVENTS, withinMs: PATIENCE_MS });
      rates.push((EVENTS / (performance.now() - startedAt)) * 1_000);
      await generator.ask({ do: "close" });
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
      notes: [
        `rounds: ${rates.map((rate) => Math.round(rate)).join(" ")}; another round decoded each event and found all in order`,
      ],
    };
  },
};

async function verify(service: Host, generator: Generator): Promise<void> {
  await generator.connect(service, "replay", { clients: 1, attention: "every", lastEventId: "0" });
  const { events, faults } = await generator.ask({ do: "reach", id: EVENTS, withinMs: PATIENCE_MS });
  await generator.ask({ do: "close" });
  if (events !== EVENTS || faults > 0) {
    throw new Error(`expected ${EVENTS} events in order, got ${events}, ${faults} of them out of order`);
  }
}
