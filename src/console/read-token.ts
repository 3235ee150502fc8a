import { byId, setText } from "./dom.ts";

/** The token to read with, where streams are not for everybody. It stays in this object. */
export class ReadToken {
  readonly #place = byId("read", HTMLDivElement);
  readonly #form = byId("read-form", HTMLFormElement);
  readonly #input = byId("read-token", HTMLInputElement);
  readonly #submit = byId("read-submit", HTMLButtonElement);
  readonly #note = byId("read-note", HTMLParagraphElement);
  readonly #onChange: () => void;
  #token: string | undefined;
  #isNeeded = false;

  /** @param onChange called when the token is given, and when it is forgotten */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(this.#token === undefined ? this.#input.value : undefined);
      // What was focused may be hidden now.
      (this.#token === undefined ? this.#input : this.#submit).focus();
      this.#onChange();
    });
  }

  get value(): string | undefined {
    return this.#token;
  }

  /** Whether the service has refused to be read without one. */
  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  /** The service lets nobody read without a token, or not with this one. */
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
    setText(this.#submit, token === undefined ? "Read" : "Forget the token");
    setText(
      this.#note,
      token === undefined
        ? "Reading this channel needs a token. It is kept in the memory of this page only."
        : "Read with the token that was given.",
    );
  }
}
