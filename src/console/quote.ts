/** Quotes a word for a POSIX shell, so that no character of it has a special meaning. */
export function quoteForShell(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Writes a value as a JavaScript literal that is also safe in a `<script>` of an HTML page. */
export function quoteForScript(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", String.raw`\u003c`);
}

/** Writes an HTML attribute value, with its quotes. */
export function quoteForHtml(value: string): string {
  const escaped = value
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  return `"${escaped}"`;
}
