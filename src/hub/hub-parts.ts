import type { Alarm } from "./alarm.ts";
import type { Clock } from "./clock.ts";
import type { Closing } from "./closing.ts";
import type { Counters } from "./counters.ts";
import type { Logger } from "./logger.ts";

/** The parts of a hub that both its ledger and its audience use. */
export interface HubParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly alarm: Alarm;
  readonly closing: Closing;
}
