/** A word of a POSIX shell: nothing in it is anything but itself. */
export function quoteForShell(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A value as a literal of JavaScript, which may stand in a script of an HTML page too. */
export function quoteForScript(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", String.raw`\u003c`);
}

/** The value of an attribute of HTML, with its quotes. */
export function quoteForHtml(value: string): string {
  const escaped = value
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  return `"${escaped}"`;
}
