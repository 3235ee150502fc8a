import { setImmediate as everythingElse } from "node:timers/promises";

import type { Clock } from "../hub/clock.ts";

/** The longest delay of a timer. A longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The clock and the timers of the process. A turn is an immediate, which is cheaper than a timer of 0 ms. */
export const processClock: Clock = {
  now: () => Date.now(),
  after: (ms, callback) => {
    let timer = setTimeout(ring, Math.min(ms, LONGEST_MS), ms);
    return () => clearTimeout(timer);

    function ring(left: number): void {
      if (left <= LONGEST_MS) {
        callback();
      } else {
        timer = setTimeout(ring, Math.min(left - LONGEST_MS, LONGEST_MS), left - LONGEST_MS);
      }
    }
  },
  turn: () => everythingElse(),
};
