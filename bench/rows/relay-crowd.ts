import { setTimeout as sleep } from "node:timers/promises";

import { batchBody, eventOf } from "../event.ts";
import { startGenerator } from "../generator.ts";
import { openPublisher } from "../publisher.ts";
import type { Row } from "../row.ts";
import { requireRelays, startService } from "../service.ts";
import { percentile } from "../statistics.ts";
import { meterUsage } from "../usage.ts";

const CHANNEL = "crowd";
const CLIENTS = 5_000;
const PER_RELAY = 1_000;
/** Clients that have left without a word keep their seats until something is written to them. */
const SEATS = 6_000;

/** One client in this many decodes each frame, and checks that none is missing. */
const SAMPLE = 50;

const SECONDS = 10;
const EVENTS_PER_SECOND = 5;

/** What the clients miss while they are away. */
const MISSED_EVENTS = 50;

/** 5,000 clients on five relays: what they get in order, and how long they take to come back all at once. */
export const relayCrowd: Row = {
  name: "relay-crowd",
  title: `${CLIENTS} clients on ${CLIENTS / PER_RELAY} relays, and their reconnect storm`,
  hosts: ["workerd"],
  measure: async ({ cleanup, seconds, host }) => {
    const service = await startService(cleanup, {
      host,
      maxConnections: SEATS,
      clientsPerObject: PER_RELAY,
    });
    const publisher = openPublisher(service, service.publishPath(CHANNEL));
    cleanup.add(() => publisher.close());
    const generator = startGenerator(cleanup);
    const crowd = { clients: CLIENTS, attention: "newest", sample: SAMPLE } as const;

    const startedAt = performance.now();
    await generator.connect(service, CHANNEL, crowd);
    const connectSeconds = (performance.now() - startedAt) / 1_000;
    await requireRelays(service, CHANNEL, CLIENTS / PER_RELAY);

    const usage = await meterUsage(service.pid, generator);
    const events = Math.round((seconds ?? SECONDS) * EVENTS_PER_SECOND);
    for (let event = 0; event < events; event++) {
      const at = Number(process.hrtime.bigint()) / 1_000;
      await Promise.all([
        publisher.publish(JSON.stringify(eventOf({ at }))),
        sleep(1_000 / EVENTS_PER_SECOND),
      ]);
    }
    await generator.ask({ do: "reach", id: events, withinMs: 10_000 });
    const used = await usage();
    const { latenciesMs, faults, ends, events: received } = await generator.ask({ do: "take" });
    if (faults > 0 || ends.length > 0 || received !== (events * CLIENTS) / SAMPLE) {
      throw new Error(`${faults} faults, ${ends.length} clients lost, ${received} events in the sample`);
    }

    await generator.ask({ do: "close" });
    const leftAt = performance.now();
    await publisher.publish(batchBody(MISSED_EVENTS));
    await generator.connect(service, CHANNEL, { ...crowd, lastEventId: String(events) });
    await generator.ask({ do: "reach", id: events + MISSED_EVENTS, withinMs: 20_000 });
    const storm = await generator.ask({ do: "look" });
    const stormSeconds = (performance.now() - leftAt) / 1_000;
    if (storm.faults > 0 || storm.ends.length > 0 || storm.events !== (MISSED_EVENTS * CLIENTS) / SAMPLE) {
      throw new Error(`${storm.faults} faults, ${storm.ends.length} clients lost after the storm`);
    }
    return {
      measures: [
        {
          what: "storm served after",
          value: stormSeconds,
          unit: "s",
          bound: { is: "below", must: 10, aim: 5 },
        },
        { what: "first connects", value: CLIENTS / connectSeconds, unit: "/s" },
        { what: "P50", value: percentile(latenciesMs, 50), unit: "ms" },
        { what: "P99", value: percentile(latenciesMs, 99), unit: "ms" },
      ],
      usage: { [service.name]: used },
      notes: [
        `${EVENTS_PER_SECOND} events/s; ${events * CLIENTS} deliveries, complete, and in order where it was checked`,
        `after the storm each client got the ${MISSED_EVENTS} events that it had missed, once and in order`,
      ],
    };
  },
};
