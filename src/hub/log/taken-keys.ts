import { HubError, LISTED_MISTAKES, type EventMistake } from "../errors.ts";
import type { Filter, Filterable } from "../filter.ts";

/**
 * The keys of a batch that belong to events beyond the publisher's grant. Calling those events duplicates would tell
 * their ids and, by `conflict`, whether a guess of their content was right.
 */
export class TakenKeys {
  readonly #grant: Filter | undefined;
  readonly #errors: EventMistake[] = [];

  /** @param grant absent: everything. */
  constructor(grant: Filter | undefined) {
    this.#grant = grant;
  }

  /** Notes the key of the event at `index` as taken if the event that has it first is beyond the grant. */
  check(index: number, first: Filterable): void {
    const isKnown = this.#grant?.matches(first) ?? true;
    if (!isKnown && this.#errors.length < LISTED_MISTAKES) {
      this.#errors.push({ index, field: "key", detail: "Taken by an event beyond what this token grants." });
    }
  }

  /** @throws HubError `key_taken` if any is. */
  refuse(): void {
    if (this.#errors.length > 0) {
      const detail = "Nothing was stored: a key is taken by an event beyond what this token grants.";
      throw new HubError("key_taken", detail, { errors: this.#errors });
    }
  }
}
