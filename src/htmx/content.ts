/**
 * What HTMX gets to swap in for the data of an event. A JSON string is the HTML that a publisher has meant to be swapped
 * in. Anything else stays JSON, with `<`, `>` and `&` escaped as JSON knows it: harmless as HTML, and still to be parsed.
 */
export function toContent(data: unknown): string {
  return typeof data === "string"
    ? data
    : JSON.stringify(data).replaceAll(
        /[<>&]/g,
        (character) => String.raw`\u00${character.charCodeAt(0).toString(16)}`,
      );
}
