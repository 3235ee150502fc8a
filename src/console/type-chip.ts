import { create } from "./dom.ts";

/** The name of a type in a colour of its own, the same wherever it appears. */
export function typeChip(type: string): HTMLSpanElement {
  const chip = create("span", { class: "chip", title: type }, type);
  chip.style.setProperty("--hue", String(hueOf(type)));
  return chip;
}

/** FNV-1a, on one of 12 hues. */
function hueOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return ((hash >>> 8) % 12) * 30;
}
