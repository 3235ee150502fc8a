/** Quotes a text for a shell, so that spaces, quotes and dollar signs in it have no effect. */
export function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
