import type { Clock } from "./clock.ts";
import { count } from "./counters.ts";
import { HubError, type RefusalCode } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** After a refusal was logged, how long further refusals of the same code are summed up. */
const SUM_UP_MS = 1_000;

/** Counts and logs the refusals of the hub. The log has the reasons and the counts, but never the refused address. */
export class RefusalRecord {
  readonly #event: string;
  readonly #counts: Partial<Record<RefusalCode, number>>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** How many refusals of each code are not logged yet. */
  readonly #unlogged = new Map<RefusalCode, number>();

  /** @param event the name of the log lines, except for a full channel, which is logged as `limit_reached` */
  constructor(event: string, counts: Partial<Record<RefusalCode, number>>, clock: Clock, log: Logger) {
    this.#event = event;
    this.#counts = counts;
    this.#clock = clock;
    this.#log = log;
  }

  /** Counts an error if it is a refusal. A client that another relay takes is not refused. */
  note(error: unknown): void {
    if (!(error instanceof HubError) || error.code === "relay_full") {
      return;
    }
    const { code } = error;
    count(this.#counts, code);
    const unlogged = this.#unlogged.get(code);
    if (unlogged === undefined) {
      this.#logNow(code, 1);
    } else {
      this.#unlogged.set(code, unlogged + 1);
    }
  }

  #logNow(code: RefusalCode, refused: number): void {
    this.#log("warn", code === "limit" ? "limit_reached" : this.#event, { code, count: refused });
    this.#unlogged.set(code, 0);
    this.#clock.after(SUM_UP_MS, () => {
      const unlogged = this.#unlogged.get(code) ?? 0;
      this.#unlogged.delete(code);
      if (unlogged > 0) {
        this.#logNow(code, unlogged);
      }
    });
  }
}
