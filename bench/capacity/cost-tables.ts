import { RELAYS_PER_OBJECT } from "../../src/hub/audience/attached-relays.ts";
import { BASE, DELAYS, EVENT_BYTES, HISTORY_EVENTS, REGIONS } from "./assumptions.ts";
import {
  ALARM_SECONDS,
  CONNECTS_PER_SECOND,
  MEAN_AGE_PART,
  MEASURED,
  ROWS,
  SLICE_WRITES,
  SMALLER_WRITE_MS,
  STREAM_KILOBYTES,
} from "./costs.ts";
import { BILLED_GB, PLAN_DOLLARS, PRICES } from "./prices.ts";
import { cost, count, ms, percent, short, type Table } from "./table.ts";

/** What was measured, and how. */
export function measuredTable(): Table {
  return [
    ["what", "cost", "how it was measured"],
    [
      "a write to one client",
      cost(MEASURED.writeMs),
      "CPU of the runtime for each delivery through a `TransformStream`, one write for each event; the middle of 66 to 72 us",
    ],
    [
      "the same, measured in another way",
      cost(SMALLER_WRITE_MS),
      "CPU of the runtime for each delivery, `latency-1000`; used only to check the model",
    ],
    [
      "one more event in a write",
      cost(MEASURED.pageEventMs),
      "CPU of the runtime for each delivery when saturated, `fan-out`; an upper bound, because it includes the writes",
    ],
    [
      "a publish of one event",
      cost(MEASURED.publishMs),
      "CPU of the runtime for each publish, `publish`; includes the Worker",
    ],
    ["until it is durable", cost(MEASURED.commitMs), "2,100 single commits a second of a bare object"],
    [
      "an event that a relay decodes",
      cost(MEASURED.decodeMs),
      "CPU of Node for the decoder, the envelope and the tail, 320 bytes each; the middle of 4.6 to 8.0 us",
    ],
    [
      "a hop between two objects",
      cost(MEASURED.hopMs),
      "P50 with a relay less P50 without, both in one process; the middle of 0.2 to 0.6 ms",
    ],
    ["a stream", `${STREAM_KILOBYTES} KB`, "memory of the runtime for each idle client, `memory`"],
    [
      "new streams of an object",
      `${count(CONNECTS_PER_SECOND)}/s`,
      "connects until the runtime is saturated",
    ],
    [
      "rows of an event with a key",
      `${ROWS.insert} + ${ROWS.trim}`,
      "`rowsWritten` inside workerd: when it is published and when it is trimmed",
    ],
    [
      "rows of an alarm of a hub",
      String(ROWS.hubAlarm),
      "how often a hub on a simulated clock sets it; the price list says one row each time",
    ],
    ["rows of an alarm of a relay", String(ROWS.relayAlarm), "the price list"],
    ["rows of a change of seats", String(ROWS.seats), "`rowsWritten` inside workerd"],
    [
      "the alarm of a hub",
      `every ${ALARM_SECONDS.hub} s`,
      "a hub on a simulated clock, with a full history and with clients",
    ],
    ["the alarm of a relay", `every ${ALARM_SECONDS.relay} s`, "the same clock and the renewals of leases"],
  ];
}

/** What nobody has measured. */
export function assumptionTable(): Table {
  return [
    ["what", "value"],
    ["publisher to hub, one way", ms(DELAYS.publisherToHubMs)],
    ["until the platform has stored a publish in more than one place", ms(DELAYS.commitMs)],
    ["between two relays of one region, one way", ms(DELAYS.withinRegionMs)],
    [
      "relay to client, one way",
      `${ms(DELAYS.lastMileMs)}, and a random part with a mean of ${ms(DELAYS.lastMileMs)}`,
    ],
    ["events in the channel", `${BASE.eventsPerSecond} a second, at random times, day and night`],
    ["events in one publish", String(BASE.eventsPerPublish)],
    ["an event in the database", `${EVENT_BYTES} bytes`],
    ["events that are kept", `at most ${count(HISTORY_EVENTS)}`],
    ["clients of one object", `at most ${count(BASE.clientsPerObject)}`],
    [
      "age of a stream",
      `${count((BASE.streamAgeSeconds * MEAN_AGE_PART) / 60)} minutes on average, of at most ${BASE.streamAgeSeconds / 60}`,
    ],
    ["metrics or health are read", `every ${BASE.scrapeSeconds} s`],
    ["relays that the hub or a relay feeds", `at most ${RELAYS_PER_OBJECT}`],
    ["writes in a slice of a sweep", String(SLICE_WRITES)],
  ];
}

export function regionTable(): Table {
  return [
    ["region", "part of the clients", "hub to relay, one way"],
    ...REGIONS.map(({ name, share, fromHubMs }) => [name, percent(share), ms(fromHubMs)]),
  ];
}

export function priceTable(): Table {
  return [
    ["resource", "included in a month", "price beyond that"],
    ...Object.values(PRICES).map(({ resource, unit, included, perUnit, dollars: price }) => [
      resource,
      `${short(included)} ${unit}`,
      `$${price.toFixed(price < 0.01 ? 3 : 2)} for ${perUnit === 1 ? `each ${unit}` : `a million ${unit}`}`,
    ]),
    ["Workers Paid plan", "", `$${PLAN_DOLLARS} a month`],
    ["memory of an object", "", `${BILLED_GB} GB, used or not`],
  ];
}
