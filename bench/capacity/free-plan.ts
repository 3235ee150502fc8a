import { BASE } from "./assumptions.ts";
import { ALARM_SECONDS, ROWS } from "./costs.ts";
import { BILLED_GB } from "./prices.ts";

/** What the Workers Free plan includes each day. */
const FREE_PER_DAY = { gigabyteSeconds: 13_000, objectRequests: 100_000, rowsWritten: 100_000 };

const DAY_SECONDS = 86_400;

/** How many events a day a channel that is always watched can have on the Free plan, and which resource ends first. */
export interface FreePlan {
  readonly gigabyteSeconds: number;
  readonly includedGigabyteSeconds: number;
  readonly eventsPerDay: number;
}

/** @param connects of all clients, in a day */
export function freePlan(connects: number): FreePlan {
  const alarms = DAY_SECONDS / ALARM_SECONDS.hub;
  const byRows = (FREE_PER_DAY.rowsWritten - alarms * ROWS.hubAlarm) / (ROWS.insert + ROWS.trim);
  const byRequests =
    (FREE_PER_DAY.objectRequests - alarms - connects - DAY_SECONDS / BASE.scrapeSeconds) *
    BASE.eventsPerPublish;
  return {
    gigabyteSeconds: BILLED_GB * DAY_SECONDS,
    includedGigabyteSeconds: FREE_PER_DAY.gigabyteSeconds,
    eventsPerDay: Math.floor(Math.min(byRows, byRequests)),
  };
}
