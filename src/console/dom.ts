/** The element of the page with that id. It is there: index.html and this code are one thing. */
export function byId<E extends HTMLElement>(id: string, type: abstract new () => E): E {
  const element = document.getElementById(id);
  if (!(element instanceof type)) {
    throw new TypeError(`index.html: expected #${id} to be a ${type.name}`);
  }
  return element;
}

export interface Parts {
  readonly class?: string;
  readonly title?: string;
  /** Attributes of `data-`. */
  readonly data?: Readonly<Record<string, string>>;
}

/** An element with text and elements in it. Text stays text: nothing in this page is ever parsed as HTML. */
export function create<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  parts: Parts = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (parts.class !== undefined) {
    element.className = parts.class;
  }
  if (parts.title !== undefined) {
    element.title = parts.title;
  }
  Object.assign(element.dataset, parts.data);
  element.append(...children);
  return element;
}

/** A button that does something. */
export function button(label: string, onClick: () => void, parts: Parts = {}): HTMLButtonElement {
  const element = create("button", parts, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** Writes only what differs: nothing is selected away from under a reader, nothing announced twice. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Copies a text, and says so on the button. */
export async function copy(text: string, label: HTMLButtonElement): Promise<void> {
  let outcome = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    outcome = "Not allowed";
  }
  const before = label.dataset["label"] ?? label.textContent;
  label.dataset["label"] = before;
  label.textContent = outcome;
  setTimeout(() => setText(label, before), 1_500);
}
