import { byId, setText } from "./dom.ts";
import type { LinkState } from "./feed.ts";

const WORDS: Readonly<Record<LinkState, string>> = {
  connecting: "Connecting",
  connected: "Connected",
  reconnecting: "Reconnecting",
  disconnected: "Disconnected",
};

/** The state of the connection, and the button that opens or closes it. */
export class Link {
  readonly #state = byId("link", HTMLParagraphElement);
  readonly #text = byId("link-text", HTMLSpanElement);
  readonly #toggle = byId("link-toggle", HTMLButtonElement);

  constructor(onConnect: () => void, onDisconnect: () => void) {
    this.#toggle.addEventListener("click", () => {
      (this.#state.dataset["state"] === "disconnected" ? onConnect : onDisconnect)();
    });
  }

  show(state: LinkState, problem: string | undefined): void {
    this.#state.dataset["state"] = state;
    this.#state.title = problem ?? "";
    setText(this.#text, WORDS[state]);
    setText(this.#toggle, state === "disconnected" ? "Connect" : "Disconnect");
  }
}
