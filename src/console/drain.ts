import { byId, setText } from "./dom.ts";
import { formatMoment } from "./format.ts";
import { drain, explain, resume } from "./service.ts";

/** Drains the channel and resumes it, for who has the admin token. Everybody sees that it is being drained. */
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
  /** Until when, if it was this page that drained the channel: the service does not tell others. */
  #until: Date | undefined;

  /** @param onChange called when the service has done it */
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

  /** The admin token, while there is one. */
  set token(token: string | undefined) {
    this.#token = token;
    this.#show();
  }

  /** As the service says. */
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
    const until = this.#until === undefined ? "its time is over" : formatMoment(this.#until);
    setText(
      this.#note,
      this.#isDraining ? `Draining: nobody is let in until ${until}, or until it is resumed.` : "",
    );
  }

  #ask(): void {
    setText(this.#title, `Drain the channel ${this.#channel()}?`);
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
