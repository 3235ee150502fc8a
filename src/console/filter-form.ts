import { byId } from "./dom.ts";
import { isStart, toList, type View } from "./view.ts";

/** The inputs for the channel, the filter and the start. */
export class FilterForm {
  readonly #channel = byId("channel", HTMLInputElement);
  readonly #types = byId("filter-types", HTMLInputElement);
  readonly #projects = byId("filter-projects", HTMLInputElement);
  readonly #agents = byId("filter-agents", HTMLInputElement);
  readonly #start = byId("filter-start", HTMLSelectElement);
  #view: View;

  constructor(view: View, onChange: (view: View) => void) {
    this.#view = view;
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
    for (const input of [this.#channel, this.#types, this.#projects, this.#agents, this.#start]) {
      input.addEventListener("change", apply);
    }
  }

  show(view: View): void {
    this.#view = view;
    this.#channel.value = view.channel;
    this.#types.value = view.types.join(", ");
    this.#projects.value = view.projectIds.join(", ");
    this.#agents.value = view.agentIds.join(", ");
    this.#start.value = view.start;
  }

  #read(): View {
    const start = this.#start.value;
    return {
      channel: this.#channel.value.trim(),
      types: toList(this.#types.value),
      projectIds: toList(this.#projects.value),
      agentIds: toList(this.#agents.value),
      start: isStart(start) ? start : "recent",
    };
  }
}
