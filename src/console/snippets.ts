import { byId, copy, create } from "./dom.ts";
import { SNIPPET_NAMES, snippetText, type SnippetName } from "./snippet-text.ts";
import type { View } from "./view.ts";

/** Code that uses the current view, one tab for each way to use it. */
export class Snippets {
  readonly #tabs = byId("snippet-tabs", HTMLDivElement);
  readonly #panel = byId("snippet", HTMLPreElement);
  #chosen: SnippetName = "curl";
  #view: View;
  #isGuarded = false;

  constructor(view: View) {
    this.#view = view;
    for (const name of SNIPPET_NAMES) {
      const tab = create("button", {}, name);
      tab.type = "button";
      tab.id = `snippet-${name}`;
      tab.role = "tab";
      tab.setAttribute("aria-controls", this.#panel.id);
      tab.addEventListener("click", () => this.#choose(name));
      this.#tabs.append(tab);
    }
    this.#tabs.addEventListener("keydown", (event) => this.#move(event));
    const copyButton = byId("copy-snippet", HTMLButtonElement);
    copyButton.addEventListener("click", () => void copy(this.#panel.textContent ?? "", copyButton));
    this.#choose(this.#chosen);
  }

  /** @param isGuarded whether reading requires a token */
  show(view: View, isGuarded: boolean): void {
    this.#view = view;
    this.#isGuarded = isGuarded;
    this.#choose(this.#chosen);
  }

  #choose(name: SnippetName): void {
    this.#chosen = name;
    for (const tab of this.#tabs.querySelectorAll("button")) {
      const isChosen = tab.id === `snippet-${name}`;
      tab.ariaSelected = String(isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
    this.#panel.setAttribute("aria-labelledby", `snippet-${name}`);
    this.#panel.textContent = snippetText(name, {
      view: this.#view,
      origin: location.origin,
      isGuarded: this.#isGuarded,
    });
  }

  #move(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const place = (SNIPPET_NAMES.indexOf(this.#chosen) + step) % SNIPPET_NAMES.length;
      const next = SNIPPET_NAMES.at(place) ?? this.#chosen;
      this.#choose(next);
      document.getElementById(`snippet-${next}`)?.focus();
    }
  }
}
