/** Whether a name is in a list of names and of prefixes that end in `*`; `*` alone is every name. */
export function isListed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => covers(pattern, name));
}

/** What two lists have in common: an entry of one that the other covers. */
export function commonPatterns(a: readonly string[], b: readonly string[]): readonly string[] {
  const both = [...a.filter((entry) => isListed(entry, b)), ...b.filter((entry) => isListed(entry, a))];
  return [...new Set(both)];
}

/** The entry may be a pattern itself: `turn*` covers `turn_*`, and not the other way round. */
function covers(pattern: string, entry: string): boolean {
  const prefix = prefixOf(pattern);
  return prefix === null ? pattern === entry : entry.startsWith(prefix);
}

/** The prefix that a pattern such as `turn_*` stands for; null: the pattern is an exact name. */
export function prefixOf(pattern: string): string | null {
  return pattern.endsWith("*") ? pattern.slice(0, -1) : null;
}
