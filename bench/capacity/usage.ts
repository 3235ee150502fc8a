import { EVENT_BYTES, HISTORY_EVENTS, type Load } from "./assumptions.ts";
import { ALARM_SECONDS, MEAN_AGE_PART, MEASURED, ROWS } from "./costs.ts";
import { BILLED_GB, type Usage } from "./prices.ts";
import { topologyOf } from "./topology.ts";

export const MONTH_SECONDS = 30 * 86_400;

/** What happens in a second in which the channel has clients. */
export interface Rates {
  readonly connects: number;
  readonly publishes: number;
  readonly alarms: number;
  /** Renewals of leases. */
  readonly leases: number;
  /** Questions of the hub to its relays for the health or the metrics. */
  readonly reports: number;
  /** Leases and reports: all calls between the objects of the channel. */
  readonly calls: number;
  /** Everything that the hub has to answer. */
  readonly hubRequests: number;
  readonly rowsWritten: number;
}

export function ratesOf(load: Load): Rates {
  const { relays } = topologyOf(load);
  const connects = load.streamAgeSeconds === 0 ? 0 : load.clients / (load.streamAgeSeconds * MEAN_AGE_PART);
  const publishes = load.eventsPerSecond / load.eventsPerPublish;
  const scrapes = 1 / load.scrapeSeconds;
  const leases = relays / ALARM_SECONDS.relay;
  const reports = relays * scrapes;
  const hubAlarms = 1 / ALARM_SECONDS.hub;
  const relayAlarms = relays / ALARM_SECONDS.relay;
  const hubConnects = relays === 0 ? connects : 0;
  return {
    connects,
    publishes,
    alarms: hubAlarms + relayAlarms,
    leases,
    reports,
    calls: leases + reports,
    hubRequests: publishes + leases + scrapes + hubAlarms + hubConnects,
    rowsWritten:
      load.eventsPerSecond * (ROWS.insert + ROWS.trim) +
      hubAlarms * ROWS.hubAlarm +
      relayAlarms * ROWS.relayAlarm +
      leases * ROWS.seats,
  };
}

/** What a month costs, in the units of the price list. */
export function usageOf(load: Load): Usage {
  const rates = ratesOf(load);
  const seconds = MONTH_SECONDS * (1 - load.quietHours / 24);
  const workerRequests = (rates.connects + rates.publishes + 1 / load.scrapeSeconds) * seconds;
  const objects = topologyOf(load).relays + 1;
  return {
    workerRequests,
    // The measured cost of a publish is that of the Worker and of the hub together, so this is an upper bound.
    workerCpuMs: workerRequests * MEASURED.publishMs,
    objectRequests:
      (rates.connects + rates.publishes + rates.alarms + rates.calls + 1 / load.scrapeSeconds) * seconds,
    gigabyteSeconds: objects * BILLED_GB * seconds,
    // Each event is looked up by its key, and read again when it is trimmed.
    rowsRead: 2 * load.eventsPerSecond * seconds,
    rowsWritten: rates.rowsWritten * seconds,
    storedGigabytes: (Math.min(HISTORY_EVENTS, load.eventsPerSecond * 86_400) * EVENT_BYTES) / 1e9,
  };
}
