import { closedRefusal } from "../../hub/closing.ts";
import type { RefusalLog } from "../response/refusal-log.ts";

/**
 * How far the shutdown of this service has got. Only a local launcher shuts a service down, and such a service is one
 * process. So a request to a channel without clients is refused here, and the channel is not woken for the shutdown.
 */
export class Stopping {
  readonly #refusals: RefusalLog;
  #stage: "running" | "no streams" | "no publishes" = "running";

  constructor(refusals: RefusalLog) {
    this.#refusals = refusals;
  }

  /** From now on, streams are refused. */
  stopStreams(): void {
    this.#stage = this.#stage === "running" ? "no streams" : this.#stage;
  }

  /** From now on, publishes are refused too. */
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
