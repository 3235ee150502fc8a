/** @throws TypeError if index.html has no such element */
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
  /** `data-` attributes, without their prefix. */
  readonly data?: Readonly<Record<string, string>>;
}

/** Creates an element with children. A string becomes text: this page never parses anything as HTML. */
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

export function button(label: string, onClick: () => void, parts: Parts = {}): HTMLButtonElement {
  const element = create("button", parts, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** Leaves equal text alone: writing it would lose a selection, and screen readers would announce it again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Copies a text and shows the outcome on the button for a moment. */
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
