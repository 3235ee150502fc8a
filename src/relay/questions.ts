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
  readonly #waiting: (() => void)[] = [];
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
    if (this.#asked >= ASKED_AT_ONCE) {
      if (this.#waiting.length >= WAITING) {
        throw new HubError("busy", "Too many requests of this relay for the history are waiting.");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#asked++;
    }
    try {
      return await this.#inTime(this.#upstream.history(request));
    } finally {
      this.#passTurn();
    }
  }

  /** The next question takes the place of this one, so that no later one can overtake it. */
  #passTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#asked--;
    } else {
      next();
    }
  }

  #inTime(answer: Promise<HistoryPage>): Promise<HistoryPage> {
    return new Promise((resolve, reject) => {
      const late = new HubError("hub_unreachable", "The hub of this channel has not answered in time.");
      const cancel = this.#clock.after(ANSWER_MS, () => reject(late));
      answer.then(resolve, reject).finally(cancel);
    });
  }
}
