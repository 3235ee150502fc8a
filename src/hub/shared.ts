import type { Alarm } from "./alarm.ts";
import type { Clock } from "./clock.ts";
import type { Closing } from "./closing.ts";
import type { Counters } from "./counters.ts";
import type { Logger } from "./logger.ts";

/** What the ledger and the audience of a hub share. */
export interface Shared {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly alarm: Alarm;
  readonly closing: Closing;
}
