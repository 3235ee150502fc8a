import { button, byId, copy, create } from "./dom.ts";
import type { ShownEvent } from "./feed.ts";
import { capitalized, labelOf } from "./field-label.ts";
import { formatClock } from "./format.ts";
import { jsonView } from "./json-view.ts";
import type { HistoryEvent } from "../wire/events.ts";
import { readEvent } from "./service.ts";
import { typeChip } from "./type-chip.ts";

/** Shows one event: the data from the stream at once, and the facts that only the history has a moment later. */
export class Inspector {
  readonly #body = byId("inspector", HTMLDivElement);
  readonly #copy = byId("copy-event", HTMLButtonElement);
  readonly #hint = [...this.#body.childNodes];
  readonly #fields: readonly string[];
  readonly #onFilter: (name: string, value: string) => void;
  #shown: ShownEvent | undefined;

  /**
   * @param fields the names of the fields that events can be filtered by
   * @param onFilter is called with `types` or a field, and the value that the shown event has
   */
  constructor(fields: readonly string[], onFilter: (name: string, value: string) => void) {
    this.#fields = fields;
    this.#onFilter = onFilter;
    this.#copy.addEventListener("click", () => {
      if (this.#shown !== undefined) {
        const { id, type, data } = this.#shown;
        void copy(JSON.stringify({ id, type, data }, null, 2), this.#copy);
      }
    });
  }

  /** @param token reads the history */
  show(event: ShownEvent | undefined, channel: string, token: string | undefined): void {
    this.#shown = event;
    this.#copy.hidden = event === undefined;
    if (event === undefined) {
      this.#body.replaceChildren(...this.#hint);
      return;
    }
    const facts = create("dl", { class: "facts" });
    this.#addFact(facts, "Id", create("span", { class: "mono" }, event.id));
    this.#addFact(facts, "Type", typeChip(event.type), ["types", event.type]);
    this.#body.replaceChildren(facts, jsonView(event.data));
    void this.#addStored(facts, event, () => readEvent(channel, token, event.id));
  }

  async #addStored(
    facts: HTMLElement,
    event: ShownEvent,
    read: () => Promise<HistoryEvent | undefined>,
  ): Promise<void> {
    const stored = await read().catch(() => undefined);
    if (stored === undefined || this.#shown !== event) {
      return;
    }
    for (const name of this.#fields) {
      const value = stored[name];
      if (typeof value === "string") {
        const label = capitalized(labelOf(name));
        this.#addFact(facts, label, create("span", { class: "mono" }, value), [name, value]);
      }
    }
    const date = new Date(stored.published_at);
    const time = create("time", { class: "mono", title: stored.published_at }, formatClock(date.getTime()));
    time.dateTime = stored.published_at;
    this.#addFact(facts, "Stored", time);
  }

  #addFact(facts: HTMLElement, label: string, value: Node, filter?: [name: string, value: string]): void {
    const fact = create("dd", {}, value);
    if (filter !== undefined) {
      const only = button("Filter", () => this.#onFilter(...filter), { class: "quiet small" });
      only.ariaLabel = `Filter by ${label.toLowerCase()} ${filter[1]}`;
      fact.append(only);
    }
    facts.append(create("dt", {}, label), fact);
  }
}
