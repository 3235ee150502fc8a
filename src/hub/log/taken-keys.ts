import { HubError, LISTED_MISTAKES, type EventMistake } from "../errors.ts";
import type { Filter, Filterable } from "../filter.ts";

/**
 * The keys of a batch that belong to events outside the publisher's grant. To answer `duplicate` for them would reveal
 * the ids of these events and, by `conflict`, whether the publisher has guessed their content.
 */
export class TakenKeys {
  readonly #grant: Filter | undefined;
  readonly #errors: EventMistake[] = [];

  /** @param grant absent for all events */
  constructor(grant: Filter | undefined) {
    this.#grant = grant;
  }

  /** Notes that the key of the event at `index` is taken, if `first`, which has the key, is outside the grant. */
  check(index: number, first: Filterable): void {
    const isKnown = this.#grant?.matches(first) ?? true;
    if (!isKnown && this.#errors.length < LISTED_MISTAKES) {
      this.#errors.push({
        index,
        field: "key",
        detail: "Another event that this token does not grant has this key.",
      });
    }
  }

  /** @throws HubError `key_taken` if a key is taken */
  refuse(): void {
    if (this.#errors.length > 0) {
      const detail = "Nothing was stored: an event that this token does not grant has one of the keys.";
      throw new HubError("key_taken", detail, { errors: this.#errors });
    }
  }
}
