import type { Clock } from "../hub/clock.ts";
import type { Filter } from "../hub/filter.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import type { Questions } from "./questions.ts";

/** The most events of one answer, which has at most about 1 MiB. */
const EVENTS_PER_ANSWER = 1_000;

/**
 * An answer fills many pages. The newest answers are held, so that a client in replay does not ask for each page. They
 * are held for a short time only: their events may be trimmed meanwhile.
 */
const HELD_ANSWERS = 4;
const HELD_MS = 5_000;

/** A part of the history that the hub has told. */
interface Held {
  readonly filterKey: string;
  /** The cursor after which it begins. */
  readonly after: number;
  readonly answer: HistoryPage;
  readonly at: number;
}

/** The events of one log that are older than the tail. They are read from the hub, in larger parts than a page. */
export class OlderEvents {
  readonly #questions: Questions;
  readonly #clock: Clock;
  readonly #logName: string;
  #held: Held[] = [];

  constructor(questions: Questions, clock: Clock, logName: string) {
    this.#questions = questions;
    this.#clock = clock;
    this.#logName = logName;
  }

  /** A part of the history after a cursor that is held; null if there is none. It may begin before the cursor. */
  held(after: number, filter: Filter): HistoryPage | null {
    const now = this.#clock.now();
    this.#held = this.#held.filter(({ at }) => Math.abs(now - at) < HELD_MS);
    const held = this.#held.find(
      (each) => each.filterKey === filter.key && each.after <= after && after < each.answer.next,
    );
    return held?.answer ?? null;
  }

  /**
   * Asks the hub for the part of the history after a cursor.
   *
   * @throws HubError what the hub refuses, BrokenUpstreamError if the answer cannot be true
   */
  async ask(after: number, filter: Filter): Promise<HistoryPage> {
    const answer = await this.#questions.ask({
      terms: filter.terms,
      start: { lastEventId: String(after), logName: this.#logName, since: null },
      limit: EVENTS_PER_ANSWER,
      address: null,
    });
    if (answer.gap === null) {
      requireTrue(answer, after, filter);
      const held = { filterKey: filter.key, after, answer, at: this.#clock.now() };
      this.#held = [...this.#held, held].slice(-HELD_ANSWERS);
    }
    return answer;
  }
}

/** Refuses an answer whose events are not the ones after the cursor that the filter lets through, in order. */
function requireTrue({ events, next }: HistoryPage, after: number, filter: Filter): void {
  let last = after;
  for (const event of events) {
    if (event.seq <= last || event.seq > next || !filter.matches(event)) {
      throw new BrokenUpstreamError(`event ${event.seq} does not belong into the history after ${last}`);
    }
    last = event.seq;
  }
  const isWhole = !filter.isOpen || events.length === next - after;
  if (!Number.isSafeInteger(next) || next < after || !isWhole) {
    throw new BrokenUpstreamError(`events are missing in the history between ${after} and ${next}`);
  }
}
