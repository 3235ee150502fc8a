import type { Clock } from "../clock.ts";
import { HubError } from "../errors.ts";
import type { HistoryPage, HistoryReading } from "./history.ts";

/** The most requests for history that wait at a time: more of them would only use memory and time out. */
const PLACES = 64;

/** A request that waits for its turn. */
interface Waiting {
  /** Called when it is the request's turn, so that a gap tells of the events that were trimmed while it waited. */
  readonly begin: () => HistoryReading;
  readonly resolve: (page: HistoryPage) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Serves requests for history one after the other and step by step, so that publishing and live delivery run between
 * any two steps. The addresses take turns, however much each of them asks for. Addresses that the limits do not count
 * (null) share one turn, because their number is not known.
 */
export class HistoryQueue {
  readonly #clock: Clock;
  /** The requests of each address, in the order in which the addresses have their turns. */
  readonly #lines = new Map<string | null, Waiting[]>();
  #waiting = 0;
  #isServing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Reads when it is this address's turn.
   *
   * @throws HubError `busy` if too many requests wait, unless another address has at least two more of them
   */
  read(address: string | null, begin: () => HistoryReading): Promise<HistoryPage> {
    return new Promise((resolve, reject) => {
      this.#enter(address, { begin, resolve, reject });
      if (!this.#isServing) {
        void this.#serveAll();
      }
    });
  }

  #enter(address: string | null, waiting: Waiting): void {
    const line = this.#lines.get(address) ?? [];
    if (this.#waiting === PLACES && !this.#freePlaceFor(line)) {
      waiting.reject(busy());
      return;
    }
    line.push(waiting);
    this.#lines.set(address, line);
    this.#waiting++;
  }

  /**
   * Refuses the last request of the longest line if that makes the lines more even: a flood must not shut others out.
   */
  #freePlaceFor(line: readonly Waiting[]): boolean {
    let longest: Waiting[] = [];
    for (const other of this.#lines.values()) {
      longest = other.length > longest.length ? other : longest;
    }
    if (longest.length <= line.length + 1) {
      return false;
    }
    longest.pop()?.reject(busy());
    this.#waiting--;
    return true;
  }

  async #serveAll(): Promise<void> {
    this.#isServing = true;
    for (let waiting = this.#next(); waiting !== null; waiting = this.#next()) {
      await this.#serve(waiting);
      await this.#clock.turn();
    }
    this.#isServing = false;
  }

  /** The first request of the line whose turn it is. The line goes to the end. */
  #next(): Waiting | null {
    const [first] = this.#lines;
    if (first === undefined) {
      return null;
    }
    const [address, line] = first;
    const waiting = line.shift() ?? null;
    this.#waiting--;
    this.#lines.delete(address);
    if (line.length > 0) {
      this.#lines.set(address, line);
    }
    return waiting;
  }

  async #serve({ begin, resolve, reject }: Waiting): Promise<void> {
    try {
      const reading = begin();
      while (reading.step()) {
        await this.#clock.turn();
      }
      resolve(reading.page());
    } catch (error) {
      reject(error);
    }
  }
}

function busy(): HubError {
  return new HubError("busy", "Too many requests for the history of this channel are waiting.");
}
