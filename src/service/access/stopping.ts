import { closedRefusal } from "../../hub/closing.ts";
import type { RefusalLog } from "../response/refusal-log.ts";

/**
 * How far the stop of this service has got. Only the local launcher stops one, and its service runs in one process: a
 * channel without clients need not be woken to be told.
 */
export class Stopping {
  readonly #refusals: RefusalLog;
  #stage: "running" | "no streams" | "no publishes" = "running";

  constructor(refusals: RefusalLog) {
    this.#refusals = refusals;
  }

  /** From now on no stream is let in. */
  stopStreams(): void {
    this.#stage = this.#stage === "running" ? "no streams" : this.#stage;
  }

  /** From now on nothing is published either. */
  stopPublishes(): void {
    this.#stage = "no publishes";
  }

  /** @throws HubError `shutting_down` */
  requireStreams(): void {
    if (this.#stage !== "running") {
      this.#refuse();
    }
  }

  /** @throws HubError `shutting_down` */
  requirePublishes(): void {
    if (this.#stage === "no publishes") {
      this.#refuse();
    }
  }

  #refuse(): never {
    const refusal = closedRefusal("shutting_down");
    this.#refusals.note(refusal);
    throw refusal;
  }
}
