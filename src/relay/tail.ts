import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import type { Filter } from "../hub/filter.ts";
import { encodePage, sizeWithin } from "../hub/log/encode-page.ts";
import { seqOf } from "../hub/log/event-id.ts";
import type { AppendedEvent } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { LogView, Page, Start, StartRequest } from "../hub/log/log-view.ts";
import { RecentEvents } from "../hub/log/recent-events.ts";
import type { RetentionBounds } from "../hub/log/retention.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import { withSize } from "./envelope.ts";
import { OlderEvents } from "./older-events.ts";
import { Questions } from "./questions.ts";
import type { Upstream } from "./upstream.ts";

/** How much of the log a relay keeps in memory. */
export interface TailBounds {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** The settings of a tail. */
export interface TailSettings {
  readonly tail: TailBounds;
  /** What the hub keeps. */
  readonly retention: RetentionBounds;
}

/**
 * The log of a hub as its relay sees it. The feed brings the newest events, which stay in memory. What is older is read
 * from the hub, page by page.
 *
 * The tail never decides by itself that events are gone. It drops the events that the bounds of the history no longer
 * cover, and then asks the hub, whose answer has the gap. So a gap at a relay is a gap at the hub.
 */
export class Tail implements LogView {
  readonly #clock: Clock;
  readonly #check: () => void;
  readonly #maxAgeMs: number;
  readonly #recent: RecentEvents;
  readonly #questions: Questions;
  readonly #listeners: (() => void)[] = [];
  #older: OlderEvents;
  #name = "";
  #generation = 0;
  #head = 0;
  /** No event before this seq is kept at the hub. Some events after it may be gone too. */
  #oldest = 1;

  /** @param check throws if the object of this relay is left behind by a deploy */
  constructor(
    upstream: Upstream,
    { tail, retention }: TailSettings,
    clock: Clock,
    check: () => void = () => {},
  ) {
    this.#clock = clock;
    this.#check = check;
    this.#maxAgeMs = retention.maxAgeMs;
    this.#recent = new RecentEvents({
      bytes: Math.min(tail.maxBytes, retention.maxBytes),
      events: Math.min(tail.maxEvents, retention.maxEvents),
    });
    this.#questions = new Questions(upstream, clock);
    this.#older = new OlderEvents(this.#questions, clock, "");
  }

  get name(): string {
    return this.#name;
  }

  get generation(): number {
    return this.#generation;
  }

  /** How many bytes of events are in memory. */
  get bytes(): number {
    return this.#recent.bytes;
  }

  head(): number {
    return this.#head;
  }

  oldest(): number {
    return Math.min(this.#oldest, this.#head + 1);
  }

  isInMemory(after: number): boolean {
    this.#dropExpired();
    return this.#recent.covers(after);
  }

  /**
   * Answers from memory for a client that brings nothing, or an id of the tail. Otherwise it asks the hub.
   *
   * @throws HubError what the hub refuses, or `hub_unreachable`
   */
  async start(request: StartRequest): Promise<Start> {
    for (;;) {
      const generation = this.#generation;
      const start = this.#startInTail(request) ?? (await this.#startAtHub(request));
      // The log may have been replaced while the hub was asked.
      if (generation === this.#generation) {
        return { ...start, generation };
      }
    }
  }

  page(after: number, filter: Filter, maxBytes: number): Page | Promise<Page> {
    if (this.isInMemory(after)) {
      const scanned = this.#recent.scan(after, this.#head, filter, sizeWithin(maxBytes, filter));
      return encodePage(after, scanned, filter.form, true);
    }
    const held = this.#older.held(after, filter);
    return held === null ? this.#askForPage(after, filter, maxBytes) : pageOf(held, after, filter, maxBytes);
  }

  onAdvance(listener: () => void): void {
    this.#listeners.push(listener);
  }

  check(): void {
    this.#check();
  }

  /**
   * Starts with a log that the tail does not know, after a cursor. Call `advance` afterwards.
   *
   * @param oldest the oldest seq that the hub keeps, as far as it is known
   */
  begin(logName: string, cursor: number, oldest: number): void {
    this.#name = logName;
    this.#generation++;
    this.#older = new OlderEvents(this.#questions, this.#clock, logName);
    this.#oldest = oldest;
    this.#jumpTo(cursor);
  }

  /** Goes on after a later cursor. The events up to it are read from the hub. Call `advance` afterwards. */
  skipTo(cursor: number): void {
    if (cursor > this.#head) {
      this.#jumpTo(cursor);
    }
  }

  /** Takes the next event: its seq is `head() + 1`. Call `advance` after the last event that has arrived. */
  push(event: AppendedEvent): void {
    this.#recent.push(event);
    this.#head = event.seq;
  }

  /** Tells the listeners that the head has moved. */
  advance(): void {
    this.#dropExpired();
    this.#listeners.forEach((advanced) => advanced());
  }

  /** Notes that the hub keeps no event before this seq. */
  raiseOldest(oldest: number): void {
    this.#oldest = Math.max(this.#oldest, oldest);
  }

  /**
   * Asks the hub for its head.
   *
   * @throws HubError what the hub refuses, BrokenUpstreamError if the hub has another log
   */
  async askHead(): Promise<number> {
    const start = { lastEventId: String(this.#head), logName: this.#name, since: null };
    const answer = await this.#questions.ask({ terms: {}, start, limit: 1, address: null });
    this.#requireSameLog(answer);
    return answer.latest;
  }

  #jumpTo(cursor: number): void {
    this.#recent.forget(cursor + 1);
    this.#head = cursor;
  }

  /** Drops the events that are too old for the history. */
  #dropExpired(): void {
    const cutoff = this.#clock.now() - this.#maxAgeMs;
    while ((this.#recent.first?.publishedAt ?? Infinity) < cutoff) {
      this.#recent.dropFirst();
    }
  }

  #startInTail({ lastEventId, logName, since }: StartRequest): Start | null {
    if (this.#name === "") {
      throw new HubError("hub_unreachable", "The hub of this channel cannot be reached at the moment.");
    }
    if (lastEventId === null) {
      return since === null ? { cursor: this.#head, gap: null } : null;
    }
    const cursor = seqOf(lastEventId);
    const isSameLog = logName === null || logName === this.#name;
    const isKnown = cursor !== null && cursor <= this.#head && cursor >= this.oldest() - 1;
    return isSameLog && isKnown && this.isInMemory(cursor) ? { cursor, gap: null } : null;
  }

  async #startAtHub(request: StartRequest): Promise<Start> {
    const start = { ...request, logName: request.logName ?? this.#name };
    const answer = await this.#questions.ask({ terms: {}, start, limit: 1, address: null });
    const { gap, next } = answer;
    if (gap !== null) {
      return { cursor: gap.oldest - 1, gap };
    }
    const [first] = answer.events;
    return { cursor: first === undefined ? next : first.seq - 1, gap: null };
  }

  async #askForPage(after: number, filter: Filter, maxBytes: number): Promise<Page> {
    const older = this.#older;
    const answer = await older.ask(after, filter);
    if (older !== this.#older) {
      throw new HubError("hub_unreachable", "The log of this channel was replaced while it was read.");
    }
    this.#requireSameLog(answer);
    this.raiseOldest(answer.gap?.oldest ?? answer.oldest ?? answer.latest + 1);
    const page = pageOf(answer, after, filter, maxBytes);
    // With a gap the page moves nothing. The cursor is below the oldest event now, so the client is told of the gap.
    if (page.cursor === after && this.oldest() <= after + 1) {
      throw new BrokenUpstreamError(`the hub has nothing between ${after} and the head of its relay`);
    }
    return page;
  }

  #requireSameLog({ gap }: HistoryPage): void {
    if (gap?.reason === "unknown") {
      throw new BrokenUpstreamError("the hub has another log than its feed");
    }
  }
}

/** The page after a cursor, from an answer that may begin before it. */
function pageOf(answer: HistoryPage, after: number, filter: Filter, maxBytes: number): Page {
  if (answer.gap !== null) {
    return encodePage(after, { matching: [], through: after }, filter.form, false);
  }
  const events = answer.events.filter(({ seq }) => seq > after);
  const most = sizeWithin(maxBytes, filter);
  let size = 0;
  const end = events.findIndex((event, index) => {
    size += withSize(event).size;
    return size > most && index > 0;
  });
  const matching = end === -1 ? events : events.slice(0, end);
  const through = end === -1 ? answer.next : (matching.at(-1)?.seq ?? after);
  return encodePage(after, { matching, through }, filter.form, false);
}
