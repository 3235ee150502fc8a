import { byId, setText } from "./dom.ts";
import { formatMoment } from "./format.ts";
import { drain, explain, resume } from "./service.ts";

/**
 * Drains and resumes the channel, for an operator with the admin token. Everybody sees that the channel is draining.
 */
export class Drain {
  readonly #button = byId("drain", HTMLButtonElement);
  readonly #note = byId("drain-note", HTMLParagraphElement);
  readonly #dialog = byId("drain-dialog", HTMLDialogElement);
  readonly #title = byId("drain-title", HTMLHeadingElement);
  readonly #seconds = byId("drain-for", HTMLSelectElement);
  readonly #outcome = byId("drain-outcome", HTMLParagraphElement);
  readonly #channel: () => string;
  readonly #onChange: () => void;
  #token: string | undefined;
  #isDraining = false;
  /** The end of a drain that this page started. The service tells it in no other answer. */
  #until: Date | undefined;

  /** @param onChange called after the service has drained or resumed the channel */
  constructor(channel: () => string, onChange: () => void) {
    this.#channel = channel;
    this.#onChange = onChange;
    this.#button.addEventListener("click", () => {
      if (this.#isDraining) {
        void this.#resume();
      } else {
        this.#ask();
      }
    });
    byId("drain-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("drain-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#drain();
    });
  }

  set token(token: string | undefined) {
    this.#token = token;
    this.#show();
  }

  set isDraining(isDraining: boolean) {
    this.#isDraining = isDraining;
    this.#until = isDraining ? this.#until : undefined;
    this.#show();
  }

  #show(): void {
    this.#button.hidden = this.#token === undefined;
    this.#button.ariaHasPopup = this.#isDraining ? null : "dialog";
    setText(this.#button, this.#isDraining ? "Resume" : "Drain…");
    this.#note.hidden = !this.#isDraining;
    const until = this.#until === undefined ? "the drain ends" : formatMoment(this.#until);
    setText(
      this.#note,
      this.#isDraining
        ? `Draining: new clients are refused until ${until}, or until an operator resumes the channel.`
        : "",
    );
  }

  #ask(): void {
    setText(this.#title, `Drain channel ${this.#channel()}?`);
    setText(this.#outcome, "");
    this.#dialog.showModal();
  }

  async #drain(): Promise<void> {
    try {
      this.#until = await drain(this.#channel(), this.#token ?? "", Number(this.#seconds.value));
      this.#dialog.close();
      this.isDraining = true;
      this.#onChange();
    } catch (error) {
      setText(this.#outcome, explain(error));
    }
  }

  async #resume(): Promise<void> {
    try {
      await resume(this.#channel(), this.#token ?? "");
      this.isDraining = false;
      this.#onChange();
    } catch (error) {
      setText(this.#note, explain(error));
    }
  }
}
