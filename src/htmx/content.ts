/** The characters of JSON text that can start markup or an entity. */
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/**
 * The data of an event as HTML. A JSON string is markup, because HTMX swaps in what a server renders. Anything else is
 * shown as its JSON and never becomes markup, whatever its strings contain.
 */
export function toHtml(data: unknown): string {
  return typeof data === "string"
    ? data
    : JSON.stringify(data).replaceAll(/[&<>]/g, (character) => ENTITIES[character] ?? "");
}

/** The data of an event for a swap that does not parse HTML. */
export function toText(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}

/**
 * The data of an event for the scripts of a page, which find it in DOM events. JSON escapes keep it harmless for a
 * script that assigns it to `innerHTML`, and `JSON.parse` still reads it.
 */
export function toScriptData(data: unknown): string {
  return typeof data === "string"
    ? data
    : JSON.stringify(data).replaceAll(
        /[&<>]/g,
        (character) => String.raw`\u00${character.charCodeAt(0).toString(16)}`,
      );
}
