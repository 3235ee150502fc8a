import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Upstream } from "./upstream.ts";

/** How long the hub may take to answer. */
const ANSWER_MS = 10_000;

/** The most questions that the hub is asked at a time, so that the clients of one relay do not fill its queue. */
const ASKED_AT_ONCE = 8;

/** The most questions that wait for their turn. */
const WAITING = 1_000;

/** The questions of a relay about the history. The same question is asked once at a time, however many clients wait for it. */
export class Questions {
  readonly #upstream: Upstream;
  readonly #clock: Clock;
  readonly #open = new Map<string, Promise<HistoryPage>>();
  /** The questions that wait, in the order in which they came. */
  readonly #waiting = new Set<() => void>();
  #asked = 0;

  constructor(upstream: Upstream, clock: Clock) {
    this.#upstream = upstream;
    this.#clock = clock;
  }

  /**
   * Asks the hub, or shares the answer to the same question that is on its way.
   *
   * @throws HubError what the hub refuses; `busy` if too many questions wait, `hub_unreachable` if no answer comes
   */
  ask(request: HistoryRequest): Promise<HistoryPage> {
    const key = JSON.stringify(request);
    const open = this.#open.get(key);
    if (open !== undefined) {
      return open;
    }
    const answer = this.#askInTurn(request).finally(() => this.#open.delete(key));
    this.#open.set(key, answer);
    return answer;
  }

  async #askInTurn(request: HistoryRequest): Promise<HistoryPage> {
    await this.#turn();
    try {
      return await this.#inTime(this.#upstream.history(request));
    } catch (error) {
      // A client that connects learns of a hub that is away, and of nothing else that went wrong between the two.
      throw error instanceof HubError ? error : unreachable("cannot be reached at the moment");
    } finally {
      this.#passTurn();
    }
  }

  async #turn(): Promise<void> {
    if (this.#asked < ASKED_AT_ONCE) {
      this.#asked++;
      return;
    }
    if (this.#waiting.size >= WAITING) {
      throw new HubError("busy", "Too many requests of this relay for the history are waiting.");
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await this.#inTime(promise);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  /** The next question takes the place of this one, so that no later one can overtake it. */
  #passTurn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#asked--;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }

  #inTime<Value>(work: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(ANSWER_MS, () => reject(unreachable("has not answered in time")));
      work.then(resolve, reject).finally(cancel);
    });
  }
}

function unreachable(why: string): HubError {
  return new HubError("hub_unreachable", `The hub of this channel ${why}.`);
}
