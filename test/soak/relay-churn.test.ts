import { describe, expect, it } from "vitest";

import type { RawStream } from "../support/raw-stream.ts";
import { relaysOf, startRelayed } from "../support/relays.ts";
import { usageOf } from "../support/runtime-usage.ts";
import type { Service } from "../support/service.ts";
import { someAtATime } from "../support/some-at-a-time.ts";
import { until } from "../support/until.ts";

/** `SOAK_MINUTES=10 npm run test:soak` */
const minutes = Number(process.env["SOAK_MINUTES"] ?? 5);

const CLIENTS = 5_000;
const PER_RELAY = 1_000;
const CHANNEL = "churn";

/** Connects at a time: the backlog of the listening socket must not overflow. */
const AT_A_TIME = 50;

/** Rounds before the memory is looked at: the runtime grows to its working size first. */
const WARM_UP = 2;

/** How much of its size the runtime may grow, because a collection may be due. */
const GROWTH = 1.2;

/** Empty relays sleep within 10 s. The rest is for a busy machine. */
const ASLEEP_MS = 20_000;

/** From many addresses, so that no port is used up. */
async function fill(service: Service): Promise<RawStream[]> {
  const numbers = Array.from({ length: CLIENTS }, (_, n) => n);
  return someAtATime(AT_A_TIME, numbers, (n) =>
    service.stream({ channel: CHANNEL }, { localAddress: `127.0.${1 + (n >> 7)}.${(n & 127) + 2}` }),
  );
}

async function untilAsleep(service: Service): Promise<void> {
  let relays: Record<string, number> = {};
  await until(
    async () => {
      relays = await relaysOf(service, CHANNEL);
      return Object.keys(relays).length === 0;
    },
    {
      what: () => `all relays to sleep; there are ${JSON.stringify(relays)}`,
      timeoutMs: ASLEEP_MS,
      everyMs: 200,
    },
  );
}

describe("Relays under churn", () => {
  it(
    `leave memory and seats as they were, while ${CLIENTS} clients come and go for ${minutes} minutes`,
    async () => {
      const service = await startRelayed({
        sse: { max_connections: CLIENTS, heartbeat_interval_seconds: 5 },
        limits: { clients_per_object: PER_RELAY },
        logging: { level: "warn" },
      });
      try {
        const usage = usageOf(service);
        const end = performance.now() + minutes * 60_000;
        const sizes: number[] = [];
        for (let round = 0; round <= WARM_UP || performance.now() < end; round++) {
          const streams = await fill(service);
          await service.publish({ type: "round", data: round }, CHANNEL);
          const events = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "round" })));
          expect(new Set(events.map(({ id }) => id))).toEqual(new Set([String(round + 1)]));
          const relays = await relaysOf(service, CHANNEL);
          expect(Object.values(relays)).toEqual(Array(CLIENTS / PER_RELAY).fill(PER_RELAY));
          expect((await service.raw(`/api/events?channel=${CHANNEL}`)).status).toBe(503);
          // Half of them leave rudely.
          streams.forEach((stream, n) => (n % 2 === 0 ? stream.end() : stream.reset()));
          await untilAsleep(service);
          expect((await service.health(CHANNEL)).sse.active_connections).toBe(0);
          sizes.push(usage.residentMegabytes());
          console.info(`round ${round}: ${sizes.at(-1)?.toFixed(0)} MB, ${usage.descriptors()} descriptors`);
        }
        const warm = Math.max(...sizes.slice(0, WARM_UP));
        expect(sizes.at(-1)).toBeLessThan(warm * GROWTH);
        expect(service.logs.filter(({ level }) => level === "error")).toEqual([]);
      } finally {
        await service.stop();
      }
    },
    minutes * 60_000 + 180_000,
  );
});
