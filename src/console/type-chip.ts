import { create } from "./dom.ts";

/** The name of a type. Its colour depends on the name alone. */
export function typeChip(type: string): HTMLSpanElement {
  const chip = create("span", { class: "chip", title: type }, type);
  chip.style.setProperty("--hue", String(hueOf(type)));
  return chip;
}

/** One of 12 hues, by the FNV-1a hash. */
function hueOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return ((hash >>> 8) % 12) * 30;
}
