import type { Clock } from "./clock.ts";
import { count } from "./counters.ts";
import { HubError, type RefusalCode } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** Refusals are logged at once, and then summed up for so long. */
const SUM_UP_MS = 1_000;

/** Counts what the hub refuses, and tells the operator of it: why and how often, but not to whom. */
export class Refusals {
  readonly #event: string;
  readonly #counts: Partial<Record<RefusalCode, number>>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Of each code, the refusals that are not logged yet. */
  readonly #unlogged = new Map<RefusalCode, number>();

  /** @param event the name of the log line; that of a full channel is `limit_reached`. */
  constructor(event: string, counts: Partial<Record<RefusalCode, number>>, clock: Clock, log: Logger) {
    this.#event = event;
    this.#counts = counts;
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes note of what was thrown, if it is a refusal. */
  note(error: unknown): void {
    if (!(error instanceof HubError)) {
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
