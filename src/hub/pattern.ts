/** Whether a list includes a name. Its entries are names, prefixes that end in `*`, or `*` for every name. */
export function isListed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => covers(pattern, name));
}

/** The entries of each list that the other list covers. */
export function commonPatterns(a: readonly string[], b: readonly string[]): readonly string[] {
  const both = [...a.filter((entry) => isListed(entry, b)), ...b.filter((entry) => isListed(entry, a))];
  return [...new Set(both)];
}

/** Whether a pattern covers a name or another pattern: `turn*` covers `turn_*`, but `turn_*` does not cover `turn*`. */
function covers(pattern: string, entry: string): boolean {
  const prefix = prefixOf(pattern);
  return prefix === null ? pattern === entry : entry.startsWith(prefix);
}

/** The prefix in a pattern such as `turn_*`; null if the pattern is an exact name. */
export function prefixOf(pattern: string): string | null {
  return pattern.endsWith("*") ? pattern.slice(0, -1) : null;
}
