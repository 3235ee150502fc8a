import { integer, section } from "./parts.ts";

/** How much history a channel keeps for clients to catch up on. Whichever bound is reached first trims the log. */
export const history = section({
  /** The most events that a channel keeps. From 1 to 10,000,000. Default 100,000. */
  max_events: integer(1, 10_000_000).default(100_000),

  /** The age in seconds at which an event is deleted. From 1 to 31,536,000 (365 days). Default 86,400 (1 day). */
  max_age_seconds: integer(1, 31_536_000).default(86_400),

  /**
   * The most bytes of events that a channel keeps: their text, plus 64 bytes for each event. The database file of a
   * channel is up to a third larger and never shrinks. From 1024 to 8,589,934,592 (8 GiB, because the platform gives an
   * object 10 GB). Default 1,073,741,824 (1 GiB).
   */
  max_bytes: integer(1024, 8 * 1024 ** 3).default(1024 ** 3),
});
