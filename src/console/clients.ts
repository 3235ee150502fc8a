import { button, byId, create, setText } from "./dom.ts";
import { labelOf } from "./field-label.ts";
import { formatAge, formatCount, formatMs } from "./format.ts";
import type { ClientRow } from "../wire/admin.ts";
import { explain, isUnauthorized, kick, readClients } from "./service.ts";

const REFRESH_MS = 3_000;

/** The longest table. A channel may have thousands of clients. */
const SHOWN_CLIENTS = 100;

/** The table of clients, for an operator with the admin token. The token is kept in this object only. */
export class Clients {
  readonly #form = byId("admin", HTMLFormElement);
  readonly #input = byId("admin-token", HTMLInputElement);
  readonly #submit = byId("admin-submit", HTMLButtonElement);
  readonly #note = byId("clients-note", HTMLParagraphElement);
  readonly #hint = byId("clients-hint", HTMLParagraphElement);
  readonly #scroll = byId("clients-scroll", HTMLDivElement);
  readonly #rows = byId("clients-rows", HTMLTableSectionElement);
  readonly #channel: () => string;
  readonly #onToken: (token: string | undefined) => void;
  #token: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ownId: string | undefined;

  /** @param onToken called with the admin token, and with undefined when it is forgotten */
  constructor(channel: () => string, onToken: (token: string | undefined) => void) {
    this.#channel = channel;
    this.#onToken = onToken;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(this.#token === undefined ? this.#input.value : undefined);
      // The element that had the focus may be hidden now.
      (this.#token === undefined ? this.#input : this.#submit).focus();
    });
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  /** The client id of this page. */
  set ownId(id: string | undefined) {
    this.#ownId = id;
    this.refresh();
  }

  refresh(): void {
    clearTimeout(this.#timer);
    this.#input.hidden = this.#token !== undefined;
    this.#input.required = this.#token === undefined;
    setText(this.#submit, this.#token === undefined ? "Show" : "Forget token");
    this.#hint.hidden = this.#token !== undefined;
    this.#scroll.hidden = this.#token === undefined;
    if (this.#token === undefined) {
      this.#rows.replaceChildren();
      setText(this.#note, "");
    } else if (!document.hidden) {
      void this.#load(this.#token);
    }
  }

  #use(token: string | undefined): void {
    this.#token = token;
    this.#input.value = "";
    this.#onToken(token);
    this.refresh();
  }

  async #load(token: string): Promise<void> {
    const channel = this.#channel();
    try {
      const clients = await readClients(channel, token);
      if (token === this.#token && channel === this.#channel()) {
        this.#show(clients, token);
      }
    } catch (error) {
      if (token === this.#token) {
        if (isUnauthorized(error)) {
          this.#use(undefined);
        }
        setText(this.#note, explain(error));
      }
    }
    if (token === this.#token) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.refresh(), REFRESH_MS);
    }
  }

  #show(clients: readonly ClientRow[], token: string): void {
    const shown = clients.toSorted((a, b) => b.lag - a.lag).slice(0, SHOWN_CLIENTS);
    setText(
      this.#note,
      shown.length < clients.length
        ? `${formatCount(clients.length)} connected, showing the ${shown.length} with the most lag`
        : `${formatCount(clients.length)} connected`,
    );
    const focused = this.#rows.contains(document.activeElement)
      ? document.activeElement?.closest("tr")?.dataset["id"]
      : undefined;
    this.#rows.replaceChildren(...shown.map((client) => this.#toRow(client, token)));
    if (focused !== undefined) {
      this.#rows.querySelector<HTMLElement>(`tr[data-id="${CSS.escape(focused)}"] button`)?.focus();
    }
  }

  #toRow(client: ClientRow, token: string): HTMLTableRowElement {
    const name = create("td", {}, create("span", { class: "mono", title: client.id }, client.id.slice(0, 8)));
    if (client.id === this.#ownId) {
      name.append(" ", create("span", { class: "badge" }, "this page"));
    }
    const lag = create("td", { class: "number" }, formatCount(client.lag));
    if (client.pending_ms > 0) {
      lag.append(create("span", { class: "sub" }, ` blocked for ${formatMs(client.pending_ms)}`));
    }
    const end = button("Kick", () => void this.#kick(client.id, token), { class: "danger small" });
    end.ariaLabel = `Kick client ${client.id.slice(0, 8)}`;
    return create(
      "tr",
      { data: { id: client.id } },
      name,
      create("td", { title: client.connected_at }, formatAge(Date.now() - Date.parse(client.connected_at))),
      create("td", { class: "mono clip", title: describeFilter(client) }, describeFilter(client)),
      create("td", { class: "number" }, formatCount(Number(client.cursor))),
      lag,
      create("td", { class: "number" }, formatCount(client.events_sent)),
      create("td", { class: "number" }, end),
    );
  }

  async #kick(id: string, token: string): Promise<void> {
    try {
      await kick(this.#channel(), token, id);
    } catch (error) {
      setText(this.#note, explain(error));
    }
    this.refresh();
  }
}

function describeFilter({ filter }: ClientRow): string {
  const { types, ...fields } = filter;
  const parts = [
    types?.includes("*") === true ? "" : types?.join(","),
    ...Object.entries(fields).map(([name, values]) => values && `${labelOf(name)} ${values.join(",")}`),
  ];
  return parts.filter(Boolean).join(" · ") || "all";
}
