import type { Clock } from "../clock.ts";
import type { Filter } from "../filter.ts";
import type { Appended, EventLog, NewEvent } from "./event-log.ts";
import type { PageReader } from "./page-reader.ts";
import type { LogView, Page, Start, StartRequest } from "./log-view.ts";
import type { Retention } from "./retention.ts";
import { startingPoint } from "./starting-point.ts";

/**
 * The log up to its durable head. Storage shows rows before they are durable. Everything that leaves the hub is read
 * through this class, so that no client sees an event that a crash can take back.
 */
export class DurableLog implements LogView {
  readonly #log: EventLog;
  readonly #reader: PageReader;
  readonly #retention: Retention;
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];
  #head: number;
  #created: Promise<void> | null;

  constructor(log: EventLog, reader: PageReader, retention: Retention, clock: Clock) {
    this.#log = log;
    this.#reader = reader;
    this.#retention = retention;
    this.#clock = clock;
    this.#head = log.head;
    this.#created = log.name === null ? null : Promise.resolve();
    reader.forget(log.head + 1);
  }

  get name(): string {
    return this.#log.name ?? "";
  }

  head(): number {
    return this.#head;
  }

  oldest(): number {
    return Math.min(this.#retention.oldest(this.#clock.now()), this.#head + 1);
  }

  /** Where a reader starts. The log may not exist yet. */
  startingPoint(request: StartRequest): Start {
    return startingPoint(request, this.#log, this.#retention, this.#head, this.#clock.now());
  }

  /** Resolves when the name of the log is durable: the client will send it back. */
  async start(request: StartRequest): Promise<Start> {
    this.#log.create();
    this.#created ??= this.#log.sync();
    await this.#created;
    return this.startingPoint(request);
  }

  page(after: number, filter: Filter, maxBytes: number): Page {
    return this.#reader.page(after, this.#head, filter, maxBytes);
  }

  isInMemory(after: number): boolean {
    return this.#reader.isInMemory(after);
  }

  onAdvance(listener: () => void): void {
    this.#listeners.push(listener);
  }

  check(): void {
    this.#log.check();
  }

  /**
   * Stores events in one transaction. Resolves when they are durable, and the events that they duplicate are durable
   * too. If it has stored any, it moves the head and calls the listeners.
   *
   * @param grant the events that the publisher may know about
   */
  async append(events: readonly NewEvent[], grant: Filter): Promise<Appended> {
    const now = this.#clock.now();
    const appended = this.#log.append(events, now, this.#retention.oldest(now), grant);
    const head = this.#log.head;
    appended.stored.forEach((event) => this.#reader.push(event));
    await this.#log.sync();
    if (head > this.#head) {
      this.#head = head;
      this.#listeners.forEach((advanced) => advanced());
    }
    return appended;
  }
}
