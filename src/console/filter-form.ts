import { byId, create } from "./dom.ts";
import { capitalized, labelOf } from "./field-label.ts";
import { isStart, toList, type View } from "./view.ts";

/** The inputs for the channel, the filter and the start. */
export class FilterForm {
  readonly #channel = byId("channel", HTMLInputElement);
  readonly #types = byId("filter-types", HTMLInputElement);
  readonly #fields = new Map<string, HTMLInputElement>();
  readonly #start = byId("filter-start", HTMLSelectElement);
  #view: View;

  constructor(view: View, onChange: (view: View) => void) {
    this.#view = view;
    this.#addFields(Object.keys(view.fields));
    this.show(view);
    const apply = (event: Event): void => {
      event.preventDefault();
      const next = this.#read();
      // The Enter key causes both a submit and a change event.
      if (this.#channel.reportValidity() && JSON.stringify(next) !== JSON.stringify(this.#view)) {
        onChange(next);
      }
    };
    byId("channel-form", HTMLFormElement).addEventListener("submit", apply);
    byId("filter", HTMLFormElement).addEventListener("submit", apply);
    for (const input of [this.#channel, this.#types, ...this.#fields.values(), this.#start]) {
      input.addEventListener("change", apply);
    }
  }

  show(view: View): void {
    this.#view = view;
    this.#channel.value = view.channel;
    this.#types.value = view.types.join(", ");
    for (const [name, input] of this.#fields) {
      input.value = (view.fields[name] ?? []).join(", ");
    }
    this.#start.value = view.start;
  }

  #addFields(names: readonly string[]): void {
    const after = this.#types.closest("div");
    const parts = names.map((name) => {
      const input = create("input");
      Object.assign(input, { id: `filter-${name}`, placeholder: "all", spellcheck: false });
      Object.assign(input, { autocomplete: "off", autocapitalize: "none" });
      this.#fields.set(name, input);
      const label = create("label", { title: name }, `${capitalized(labelOf(name))}s`);
      label.htmlFor = input.id;
      return create("div", {}, label, input);
    });
    after?.after(...parts);
  }

  #read(): View {
    const start = this.#start.value;
    return {
      channel: this.#channel.value.trim(),
      types: toList(this.#types.value),
      fields: Object.fromEntries([...this.#fields].map(([name, { value }]) => [name, toList(value)])),
      start: isStart(start) ? start : "recent",
    };
  }
}
