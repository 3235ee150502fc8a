import { byId, create, setText } from "./dom.ts";
import type { ShownEvent } from "./feed.ts";
import { formatClock, formatCount } from "./format.ts";
import { typeChip } from "./type-chip.ts";

/** The most events that the list shows, and the most that wait while it is paused. */
const KEPT_EVENTS = 500;

/** The longest preview of an event's data, in characters. */
const PREVIEW_LENGTH = 160;

/** The list of events, newest first. A pointer or the arrow keys select one of them. */
export class EventList {
  readonly #list = byId("event-list", HTMLDivElement);
  readonly #empty = byId("events-empty", HTMLDivElement);
  readonly #count = byId("events-count", HTMLParagraphElement);
  readonly #pause = byId("pause", HTMLButtonElement);
  readonly #onChoose: (event: ShownEvent | undefined) => void;
  readonly #events = new WeakMap<Element, ShownEvent>();
  #waiting: ShownEvent[] = [];
  #chosen: Element | undefined;
  #isPaused = false;
  #isDrawing = false;
  #received = 0;

  constructor(onChoose: (event: ShownEvent | undefined) => void) {
    this.#onChoose = onChoose;
    this.#pause.addEventListener("click", () => this.togglePause());
    byId("clear", HTMLButtonElement).addEventListener("click", () => this.clear());
    this.#list.addEventListener("click", ({ target }) => {
      const row = target instanceof Element ? target.closest(".event") : null;
      if (row !== null) {
        this.#choose(row);
        showInspector();
      }
    });
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    this.#tell();
  }

  add(events: readonly ShownEvent[]): void {
    this.#received += events.length;
    this.#waiting.push(...events);
    if (this.#waiting.length > KEPT_EVENTS) {
      this.#waiting.splice(0, this.#waiting.length - KEPT_EVENTS);
    }
    this.#drawSoon();
  }

  clear(): void {
    this.#waiting = [];
    this.#received = 0;
    this.#list.replaceChildren();
    this.#choose(undefined);
    this.#tell();
  }

  togglePause(): void {
    this.#isPaused = !this.#isPaused;
    this.#pause.setAttribute("aria-pressed", String(this.#isPaused));
    this.#drawSoon();
    this.#tell();
  }

  /** Draws all events that arrive within one animation frame together. */
  #drawSoon(): void {
    if (this.#isDrawing) {
      return;
    }
    this.#isDrawing = true;
    const draw = (): void => {
      this.#isDrawing = false;
      if (!this.#isPaused) {
        this.#draw();
      }
      this.#tell();
    };
    if (document.hidden) {
      setTimeout(draw, 1_000);
    } else {
      requestAnimationFrame(draw);
    }
  }

  #draw(): void {
    const rows = this.#waiting.map((event) => this.#toRow(event)).toReversed();
    this.#waiting = [];
    this.#list.prepend(...rows);
    while (this.#list.childElementCount > KEPT_EVENTS) {
      const last = this.#list.lastElementChild;
      if (last === this.#chosen) {
        this.#choose(undefined);
      }
      last?.remove();
    }
  }

  #toRow(event: ShownEvent): HTMLElement {
    const { id, type, data, time } = event;
    const row = create(
      "div",
      { class: "event" },
      create("span", { class: "event-id" }, id),
      typeChip(type),
      create("span", { class: "event-data" }, preview(data)),
      create("time", { class: "event-time" }, time === undefined ? "replayed" : formatClock(time)),
    );
    row.id = `event-${id}`;
    row.role = "option";
    row.ariaSelected = "false";
    this.#events.set(row, event);
    return row;
  }

  #choose(row: Element | undefined): void {
    this.#chosen?.setAttribute("aria-selected", "false");
    this.#chosen = row;
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
    if (row === undefined) {
      this.#list.removeAttribute("aria-activedescendant");
    } else {
      this.#list.setAttribute("aria-activedescendant", row.id);
    }
    this.#onChoose(row && this.#events.get(row));
  }

  #move(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      this.#choose(undefined);
      return;
    }
    const { firstElementChild: first, lastElementChild: last } = this.#list;
    const next: Record<string, Element | null | undefined> = {
      ArrowDown: this.#chosen === undefined ? first : this.#chosen.nextElementSibling,
      ArrowUp: this.#chosen === undefined ? first : this.#chosen.previousElementSibling,
      Home: first,
      End: last,
    };
    if (!Object.hasOwn(next, event.key)) {
      return;
    }
    event.preventDefault();
    const row = next[event.key];
    if (row) {
      this.#choose(row);
    }
  }

  #tell(): void {
    const waiting = this.#isPaused ? this.#waiting.length : 0;
    const shown = this.#list.childElementCount;
    this.#empty.hidden = shown > 0;
    this.#list.hidden = shown === 0;
    setText(this.#pause, this.#isPaused ? (waiting > 0 ? `Resume (${waiting} new)` : "Resume") : "Pause");
    setText(
      this.#count,
      this.#received > shown + waiting
        ? `${formatCount(this.#received)} received, last ${formatCount(shown + waiting)} kept`
        : `${formatCount(this.#received)} received`,
    );
  }
}

/** Scrolls to the inspector where it is below the list, because a tap would seem to do nothing. */
function showInspector(): void {
  if (matchMedia("(max-width: 760px)").matches) {
    byId("inspector", HTMLDivElement).scrollIntoView({ block: "nearest" });
  }
}

function preview(data: unknown): string {
  const text = JSON.stringify(data) ?? "";
  return text.length > PREVIEW_LENGTH ? `${text.slice(0, PREVIEW_LENGTH)}…` : text;
}
