import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { BASE, HISTORY_EVENTS, type Load } from "../../../../bench/capacity/assumptions.ts";
import { validations } from "../../../../bench/capacity/capacity.ts";
import {
  ALARM_SECONDS,
  MEAN_AGE_PART,
  MEASURED,
  RELAYS_MAX,
  ROWS,
  SLICE_WRITES,
} from "../../../../bench/capacity/costs.ts";
import { Histogram } from "../../../../bench/capacity/histogram.ts";
import { BENCHMARK, latencyOf, ONE_MACHINE, WORLD } from "../../../../bench/capacity/latency.ts";
import { billOf, chargesFor, type Usage } from "../../../../bench/capacity/prices.ts";
import { branchesOf, topologyOf } from "../../../../bench/capacity/topology.ts";
import { usageOf } from "../../../../bench/capacity/usage.ts";
import { configSchema } from "../../../../src/config/schema.ts";
import { Alarm } from "../../../../src/hub/alarm.ts";
import { RELAYS_PER_OBJECT } from "../../../../src/hub/audience/attached-relays.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";

const NOTHING: Usage = {
  workerRequests: 0,
  workerCpuMs: 0,
  objectRequests: 0,
  gigabyteSeconds: 0,
  rowsRead: 0,
  rowsWritten: 0,
  storedGigabytes: 0,
};

function durationDollars(gigabyteSeconds: number): number {
  return billOf({ ...NOTHING, gigabyteSeconds }) - billOf(NOTHING);
}

function p99Of(parts: Partial<Load>): number {
  return latencyOf({ ...BASE, ...parts }, MEASURED, WORLD).p99;
}

/** Whether a source file has a constant that it does not export. */
function hasConstant(file: string, text: string): boolean {
  return readFileSync(`src/${file}`, "utf8").includes(`const ${text};`);
}

describe("the prices", () => {
  it("give the bills of the examples of the price pages", () => {
    // 15 million requests of 7 ms each.
    expect(billOf({ ...NOTHING, workerRequests: 15e6, workerCpuMs: 105e6 })).toBeCloseTo(8, 2);
    // 100 million requests of 7 ms each.
    expect(billOf({ ...NOTHING, workerRequests: 100e6, workerCpuMs: 700e6 })).toBeCloseTo(45.4, 2);
  });

  it("leave what the plan includes free", () => {
    const included = Object.fromEntries(
      chargesFor(NOTHING).map(({ price }, index) => [Object.keys(NOTHING)[index], price.included]),
    ) as unknown as Usage;
    expect(billOf(included)).toBe(5);
  });

  it("count one always-watched object as free, and the next one not", () => {
    const usage = usageOf({ ...BASE, clients: 100 });
    expect(usage.gigabyteSeconds).toBeCloseTo(331_776, 0);
    expect(durationDollars(usage.gigabyteSeconds)).toBe(0);
    expect(
      durationDollars(3 * usage.gigabyteSeconds) - durationDollars(2 * usage.gigabyteSeconds),
    ).toBeCloseTo(4.15, 2);
  });
});

describe("the objects of a channel", () => {
  it("are the hub alone as long as one object can hold all clients", () => {
    expect(topologyOf({ ...BASE, clients: BASE.clientsPerObject })).toMatchObject({
      relays: 0,
      isAllowed: true,
    });
    expect(topologyOf({ ...BASE, clients: BASE.clientsPerObject + 1 }).relays).toBeGreaterThan(0);
  });

  it.each([10_000, 100_000, 1_000_000])(
    "have room for all of %i clients, and no parent has too many",
    (clients) => {
      const topology = topologyOf({ ...BASE, clients });
      expect(topology.regions.reduce((sum, region) => sum + region.clients, 0)).toBe(clients);
      expect(branchesOf(topology)).toBeLessThanOrEqual(RELAYS_PER_OBJECT);
      for (const { clients: its, relays, branches } of topology.regions) {
        expect(relays * BASE.clientsPerObject).toBeGreaterThanOrEqual(its);
        expect((relays - branches) / branches).toBeLessThanOrEqual(RELAYS_PER_OBJECT);
      }
    },
  );

  it("are not allowed beyond the highest value of the configuration", () => {
    expect(topologyOf({ ...BASE, clients: 1_000_000, clientsPerObject: 250 }).isAllowed).toBe(false);
  });
});

describe("the latency", () => {
  it("of one object without load is the work of a publish and half of a sweep", () => {
    const { p50 } = latencyOf({ ...BASE, clients: 1_000, eventsPerSecond: 1 }, MEASURED, BENCHMARK);
    const sweepMs = 1_000 * (MEASURED.writeMs + MEASURED.pageEventMs);
    expect(p50).toBeGreaterThan(sweepMs / 2 - 2);
    expect(p50).toBeLessThan(MEASURED.publishMs + MEASURED.commitMs + sweepMs / 2 + 2);
  });

  it("rises with the events, and falls with fewer clients per object", () => {
    expect(p99Of({ eventsPerSecond: 100 })).toBeGreaterThan(p99Of({}));
    expect(p99Of({ clientsPerObject: 500 })).toBeLessThan(p99Of({}));
  });

  it("is the same in each run", () => {
    expect(latencyOf(BASE, MEASURED, WORLD)).toEqual(latencyOf(BASE, MEASURED, WORLD));
  });

  it("has less of a wait for a fed relay that is served first", () => {
    const [first, last] = [true, false].map((feedsFirst) =>
      latencyOf({ ...BASE, clients: 1_000_000, feedsFirst }, MEASURED, ONE_MACHINE),
    );
    expect(first?.p50).toBeLessThan((last?.p50 ?? 0) - 20);
  });

  it("is below what the benchmark measured, but by less than half", () => {
    const compared = validations().flatMap(({ measured, model }) =>
      Object.entries(measured).map(([which, [low, high]]) => [
        model[which as "p50"] / high,
        model[which as "p50"] / low,
      ]),
    );
    expect(compared).toHaveLength(4);
    for (const [least = 0, most = 0] of compared) {
      expect(least).toBeGreaterThan(0.5);
      expect(most).toBeLessThan(1.1);
    }
  });
});

describe("a histogram", () => {
  it("gives the percentiles of weighted delays", () => {
    const histogram = new Histogram();
    histogram.add(1, 98);
    histogram.add(50, 1);
    histogram.add(200, 1);
    expect([50, 98, 99, 100].map((percent) => histogram.percentile(percent))).toEqual(
      [1, 1, 50, 200].map((ms) => expect.closeTo(ms, 0)),
    );
    expect(new Histogram().percentile(50)).toBeNaN();
    expect(() => histogram.add(Number.NaN, 1)).toThrow(/no delay/);
  });
});

describe("the numbers that the model takes from the code", () => {
  it("are those of the code", () => {
    const config = configSchema.parse({});
    expect(BASE).toMatchObject({
      clientsPerObject: config.limits.clients_per_object,
      streamAgeSeconds: config.limits.max_stream_age_seconds,
    });
    expect(HISTORY_EVENTS).toBe(config.history.max_events);
    expect(() => configSchema.parse({ relays: { max: RELAYS_MAX } })).not.toThrow();
    expect(() => configSchema.parse({ relays: { max: RELAYS_MAX + 1 } })).toThrow(/2000/);
    expect(hasConstant("hub/audience/broadcaster.ts", `SLICE_WRITES = ${SLICE_WRITES}`)).toBe(true);
    expect(
      hasConstant("hub/audience/stream-ages.ts", `JITTER = ${((1 - MEAN_AGE_PART) * 2).toFixed(1)}`),
    ).toBe(true);
    expect(hasConstant("relay/leased-seats.ts", "RENEW_MS = 10_000")).toBe(true);
    expect(hasConstant("relay/leased-seats.ts", "BLOCK_MAX = 64")).toBe(true);
  });

  it("have the alarm of a hub with a full history ring as often as it does", async () => {
    const hub = new FakeHub({
      settings: { retention: { maxEvents: 100, maxAgeMs: 86_400_000, maxBytes: 1024 ** 3 } },
    });
    await hub.connect();
    await hub.publish(100);
    const seconds = 600;
    const before = { rings: hub.rings, set: hub.alarmsSet };
    for (let second = 0; second < seconds; second++) {
      await hub.publish();
      await hub.clock.advance(1_000);
    }
    const every = seconds / (hub.rings - before.rings);
    expect(every).toBeGreaterThan(ALARM_SECONDS.hub - 1);
    expect(every).toBeLessThan(ALARM_SECONDS.hub + 2);
    expect((hub.alarmsSet - before.set) / (hub.rings - before.rings)).toBeCloseTo(ROWS.hubAlarm, 1);
  });

  it("have the alarm of a relay ring as often as its lease is renewed", () => {
    let at = 0;
    const alarm = new Alarm(30_000, (time) => {
      at = time;
    });
    const rings: number[] = [];
    for (let ring = 0; ring < 5; ring++) {
      // Alarms ring a few ms late, and the lease is renewed 10 s after that.
      alarm.arm(at + 5 + 10_000);
      rings.push(at);
      alarm.rung();
    }
    const steps = rings.slice(1).map((time, index) => time - (rings[index] ?? 0));
    expect(steps.every((step) => step === ALARM_SECONDS.relay * 1_000)).toBe(true);
  });
});
