import { byId, setText } from "./dom.ts";

/** The token that reads a channel which is not public. It is kept in this object only. */
export class ReadToken {
  readonly #place = byId("read", HTMLDivElement);
  readonly #form = byId("read-form", HTMLFormElement);
  readonly #input = byId("read-token", HTMLInputElement);
  readonly #submit = byId("read-submit", HTMLButtonElement);
  readonly #note = byId("read-note", HTMLParagraphElement);
  readonly #onChange: () => void;
  #token: string | undefined;
  #isNeeded = false;

  /** @param onChange called when somebody enters the token or makes the page forget it */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(this.#token === undefined ? this.#input.value : undefined);
      // The element that had the focus may be hidden now.
      (this.#token === undefined ? this.#input : this.#submit).focus();
      this.#onChange();
    });
  }

  get value(): string | undefined {
    return this.#token;
  }

  /** Whether the service has refused a request for its lack of a token. */
  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  /** Asks for a token, because the service requires one or refuses the last one. */
  ask(refusal: string): void {
    const wasWrong = this.#token !== undefined;
    const wasFocused = this.#place.contains(document.activeElement);
    this.#isNeeded = true;
    this.#use(undefined);
    if (wasWrong) {
      setText(this.#note, refusal);
    }
    if (wasFocused) {
      this.#input.focus();
    }
  }

  #use(token: string | undefined): void {
    this.#token = token;
    this.#input.value = "";
    this.#place.hidden = !this.#isNeeded;
    this.#input.hidden = token !== undefined;
    this.#input.required = token === undefined;
    setText(this.#submit, token === undefined ? "Use token" : "Forget token");
    setText(
      this.#note,
      token === undefined
        ? "Reading this channel requires a token. It stays in the memory of this page."
        : "Reading with your token.",
    );
  }
}
