import type { Filter } from "../filter.ts";
import type { LogView, Page } from "../log/log-view.ts";

/** Bytes that a sweep reads from storage for clients in replay. A small number keeps live clients live. */
const REPLAY_BYTES_PER_SWEEP = 512 * 1024;

/** The pages of one sweep. Clients with the same cursor and the same filter share a page. */
export class SweepPages {
  readonly head: number;
  /** How many writes carried a page. */
  written = 0;
  readonly #view: LogView;
  readonly #maxBytes: number;
  readonly #pages = new Map<Filter, Map<number, Page | Promise<Page>>>();
  #generation: number | undefined;
  /** An upper bound: every page that was read counts as a full one. */
  #readBytes = 0;

  /** @param maxBytes of one page */
  constructor(view: LogView, maxBytes: number) {
    this.#view = view;
    this.#maxBytes = maxBytes;
    this.head = view.head();
    this.#generation = view.generation;
  }

  /** Whether this sweep may read more of the log from storage. */
  get canReadMore(): boolean {
    return this.#readBytes < REPLAY_BYTES_PER_SWEEP;
  }

  has(cursor: number, filter: Filter): boolean {
    this.#dropPagesOfOtherLog();
    return this.#pages.get(filter)?.has(cursor) ?? false;
  }

  page(cursor: number, filter: Filter): Page | Promise<Page> {
    this.#dropPagesOfOtherLog();
    let byCursor = this.#pages.get(filter);
    if (byCursor === undefined) {
      byCursor = new Map();
      this.#pages.set(filter, byCursor);
    }
    let page = byCursor.get(cursor);
    if (page === undefined) {
      page = this.#view.page(cursor, filter, this.#maxBytes);
      byCursor.set(cursor, page);
      const isRead = !this.#view.isInMemory(cursor) && !(page instanceof Promise);
      this.#readBytes += isRead ? this.#maxBytes : 0;
    }
    return page;
  }

  /** The log may be replaced during a sweep. A cursor of the new log must not get a page of the old one. */
  #dropPagesOfOtherLog(): void {
    if (this.#generation !== this.#view.generation) {
      this.#generation = this.#view.generation;
      this.#pages.clear();
    }
  }
}
