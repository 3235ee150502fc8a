import { byId, create, setText } from "./dom.ts";
import { exampleOf } from "./examples.ts";
import { capitalized, labelOf } from "./field-label.ts";
import { formatMs } from "./format.ts";
import { explain, publish } from "./service.ts";

/** The most arrivals to remember while a publish waits for its answer. */
const WAITED_FOR = 50;

/** Publishes one event, and measures the time until it is stored and until the stream delivers it to this page. */
export class PublishForm {
  readonly #form = byId("publish", HTMLFormElement);
  readonly #token = byId("publish-token", HTMLInputElement);
  readonly #type = byId("publish-type", HTMLInputElement);
  readonly #fields = new Map<string, HTMLInputElement>();
  readonly #data = byId("publish-data", HTMLTextAreaElement);
  readonly #outcome = byId("publish-outcome", HTMLParagraphElement);
  readonly #channel: () => string;
  /** The arrival times of events during a publish, because the stream may be faster than the answer. */
  readonly #arrivals = new Map<string, number>();
  #example = exampleOf("state_transition") ?? "{}";
  #sent: { id: string; started: number; text: string } | undefined;
  #isBusy = false;

  /** @param fields the names of the fields of the service */
  constructor(fields: readonly string[], channel: () => string) {
    this.#channel = channel;
    this.#addFields(fields);
    this.#data.value = this.#example;
    this.#type.addEventListener("input", () => this.#offerExample());
    this.#data.addEventListener("input", () => this.#check());
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.#form.requestSubmit();
      }
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#publish();
    });
  }

  arrived(id: string): void {
    const time = performance.now();
    if (this.#sent?.id === id) {
      this.#tell("good", `${this.#sent.text}, received after ${formatMs(time - this.#sent.started)}.`);
      this.#sent = undefined;
    } else if (this.#isBusy && this.#arrivals.size < WAITED_FOR) {
      this.#arrivals.set(id, time);
    }
  }

  async #publish(): Promise<void> {
    if (this.#isBusy || !this.#check()) {
      return;
    }
    this.#isBusy = true;
    this.#arrivals.clear();
    const started = performance.now();
    try {
      const { id, duplicate } = await publish(this.#channel(), this.#token.value, this.#event());
      const text = `Event ${id}${duplicate ? " (duplicate)" : ""} stored in ${formatMs(performance.now() - started)}`;
      this.#sent = { id, started, text };
      this.#tell("good", `${text}.`);
      const arrival = this.#arrivals.get(id);
      if (arrival !== undefined) {
        this.#tell("good", `${text}, received after ${formatMs(arrival - started)}.`);
        this.#sent = undefined;
      }
    } catch (error) {
      this.#tell("bad", explain(error));
    } finally {
      this.#isBusy = false;
    }
  }

  #addFields(names: readonly string[]): void {
    const parts = names.map((name) => {
      const input = create("input");
      Object.assign(input, { id: `publish-${name}`, placeholder: "taken from data", maxLength: 128 });
      Object.assign(input, { autocomplete: "off", spellcheck: false });
      this.#fields.set(name, input);
      const label = create("label", { title: name }, capitalized(labelOf(name)));
      label.htmlFor = input.id;
      return create("div", { class: "publish-field" }, label, input);
    });
    this.#type.closest("div")?.after(...parts);
  }

  #event(): Record<string, unknown> {
    const fields = [...this.#fields].map(([name, { value }]) => [name, value.trim()] as const);
    return {
      type: this.#type.value.trim(),
      data: JSON.parse(this.#data.value) as unknown,
      ...Object.fromEntries(fields.filter(([, value]) => value !== "")),
    };
  }

  /** Replaces the data by the example of the type, unless somebody has edited it. */
  #offerExample(): void {
    const example = exampleOf(this.#type.value.trim());
    if (example !== undefined && this.#data.value === this.#example) {
      this.#example = example;
      this.#data.value = example;
    }
  }

  #check(): boolean {
    let mistake = "";
    try {
      JSON.parse(this.#data.value);
    } catch (error) {
      mistake = error instanceof Error ? error.message : String(error);
    }
    this.#data.setCustomValidity(mistake);
    this.#data.ariaInvalid = mistake === "" ? null : "true";
    this.#tell("bad", mistake === "" ? "" : `Not valid JSON: ${mistake}`);
    return mistake === "";
  }

  #tell(kind: "good" | "bad", text: string): void {
    this.#outcome.dataset["kind"] = kind;
    setText(this.#outcome, text);
  }
}
