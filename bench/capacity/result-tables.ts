import { BASE } from "./assumptions.ts";
import { priced, type Capacity, type Channel, type Priced, type Range, type Validation } from "./capacity.ts";
import { MEASURED, SMALLER_WRITE_MS } from "./costs.ts";
import { freePlan } from "./free-plan.ts";
import type { Latency } from "./latency.ts";
import { BILLED_GB, PLAN_DOLLARS, PRICES } from "./prices.ts";
import { cost, count, dollars, ms, percent, short, type Table } from "./table.ts";
import { MONTH_SECONDS, ratesOf } from "./usage.ts";

/** What the model says of the benchmark's loads. */
export function validationTable({ validations }: Capacity): Table {
  return [
    ["one object, no network", "P50: model / measured", "P95", "P99"],
    ...validations.map((one) => compareAll(one, one.model, MEASURED.writeMs)),
    ...validations.map((one) => compareAll(one, one.smaller, SMALLER_WRITE_MS)),
  ];
}

export function sizeTable({ sizes }: Capacity): Table {
  const row = (what: string, cell: (channel: Channel) => string): string[] => [what, ...sizes.map(cell)];
  return [
    row("clients", ({ load }) => count(load.clients)),
    row("objects: hub + relays", ({ topology }) => `1 + ${count(topology.relays)}`),
    row("levels of relays", (channel) => String(levelsOf(channel))),
    row("publish to client, P50", ({ latency }) => ms(latency.p50)),
    row("P95", ({ latency }) => ms(latency.p95)),
    row("P99", ({ latency }) => ms(latency.p99)),
    row("of this the service itself, P50", ({ ownLatency }) => ms(ownLatency.p50)),
    row("the service itself, P99", ({ ownLatency }) => ms(ownLatency.p99)),
    row("thread of the hub in use", ({ latency }) => percent(latency.hubUse)),
    row("thread of a relay in use", ({ latency, topology }) =>
      topology.relays === 0 ? "-" : percent(latency.relayUse),
    ),
    row("calls between objects", ({ rates }) => `${short(rates.calls)}/s`),
    row("requests to the hub", ({ rates }) => `${short(rates.hubRequests)}/s`),
    row("connects", ({ rates }) => `${short(rates.connects)}/s`),
    row("rows written", ({ rates }) => `${short(rates.rowsWritten)}/s`),
  ];
}

export function billTable({ sizes }: Capacity): Table {
  const [first] = sizes;
  const resources = first?.charges.map(({ price }) => price) ?? [];
  return [
    ["in a month", ...sizes.map(({ load }) => `${count(load.clients)} clients`)],
    ...resources.map(({ resource, unit }, index) => [
      `${resource} (${unit})`,
      ...sizes.map(({ charges }) => {
        const charge = charges[index];
        return charge === undefined ? "" : `${short(charge.used)}: ${dollars(charge.dollars)}`;
      }),
    ]),
    ["Workers Paid plan", ...sizes.map(() => dollars(PLAN_DOLLARS))],
    ["**together**", ...sizes.map((channel) => `**${dollars(channel.dollars)}**`)],
    [
      "for 1,000 clients",
      ...sizes.map((channel) => `$${count((channel.dollars / channel.load.clients) * 1_000, 2)}`),
    ],
  ];
}

export function sensitivityTable({ changes }: Capacity): Table {
  return [
    [
      "change",
      `P50 / P99, ${count(BASE.clients)} clients`,
      ...(changes[0]?.channels ?? []).map(({ load }) => `${count(load.clients)} clients`),
    ],
    ...changes.map(({ change, latency, channels }) => [
      change.name,
      `${count(latency.p50)} / ${ms(latency.p99)}`,
      ...channels.map(bill),
    ]),
  ];
}

export function rateTable({ rates }: Capacity): Table {
  return [
    [
      "events/s",
      "the service itself, P50 / P99",
      "with the network, P50 / P99",
      "hub's thread",
      "relay's thread",
      "requests to the hub",
      "a month",
    ],
    ...rates.map(({ load, ownLatency, latency, rates: { hubRequests }, dollars: sum }) => [
      count(load.eventsPerSecond),
      `${count(ownLatency.p50)} / ${ms(ownLatency.p99)}`,
      `${count(latency.p50)} / ${ms(latency.p99)}`,
      percent(ownLatency.hubUse),
      percent(ownLatency.relayUse),
      `${count(hubRequests)}/s`,
      dollars(sum),
    ]),
  ];
}

export function limitTable({ limits }: Capacity): Table {
  return [
    ["what happens", "at"],
    ...limits.map(({ what, value, unit }) => [what, `${short(value)} ${unit}`]),
  ];
}

/** What an operator wants to know first. */
export function operatorTable(): Table {
  return [
    ["a channel that is watched day and night", "objects", "1 event a second", "10 events a second"],
    ...[100, 10_000, 100_000].map((clients) => {
      const [slow, fast] = [1, 10].map((eventsPerSecond) => priced({ ...BASE, clients, eventsPerSecond }));
      return [
        `${count(clients)} clients`,
        count((slow?.topology.relays ?? 0) + 1),
        ...[slow, fast].map((channel) => `${dollars(channel?.dollars ?? Number.NaN)} a month`),
      ];
    }),
  ];
}

/** The bill of one object that never sleeps. */
export function objectTable(): Table {
  const gigabyteSeconds = BILLED_GB * MONTH_SECONDS;
  const { perUnit, dollars: price } = PRICES.gigabyteSeconds;
  const free = freePlan(ratesOf({ ...BASE, clients: 100 }).connects * 86_400);
  return [
    ["one object that is always watched", ""],
    ["duration in a month", `${count(gigabyteSeconds)} GB-s, about ${count(gigabyteSeconds / 1_000)},000`],
    ["its price, beyond what is included", `$${count((gigabyteSeconds / perUnit) * price, 2)}`],
    [
      "duration in a day, of what the Free plan includes",
      `${count(free.gigabyteSeconds)} of ${count(free.includedGigabyteSeconds)} GB-s`,
    ],
    ["events of 100 clients on the Free plan", `${count(free.eventsPerDay)} a day`],
  ];
}

function levelsOf({ topology }: Channel): number {
  if (topology.relays === 0) {
    return 0;
  }
  return topology.regions.some(({ relays, branches }) => relays > branches) ? 2 : 1;
}

function compareAll(one: Validation, model: Latency, writeMs: number): string[] {
  return [
    `${count(one.clients)} clients, ${one.eventsPerSecond} events/s, a write of ${cost(writeMs)}`,
    compare(model.p50, one.measured.p50),
    compare(model.p95, one.measured.p95),
    compare(model.p99, one.measured.p99),
  ];
}

function compare(model: number, measured: Range | undefined): string {
  if (measured === undefined) {
    return `${count(model, 1)} / -`;
  }
  const [least, most] = measured.map((value) => count((1 - model / value) * 100));
  return `${count(model, 1)} / ${measured.join(" to ")} ms: ${least} to ${most} % below`;
}

function bill({ topology, dollars: sum }: Priced): string {
  return topology.isAllowed ? dollars(sum) : `not possible: ${count(topology.relays)} relays`;
}
