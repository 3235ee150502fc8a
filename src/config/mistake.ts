/** A mistake in a configuration file, and its place. */
export interface Mistake {
  readonly file: string;
  /** Counted from 1, as in editors. */
  readonly line: number;
  readonly column: number;
  /** The key, such as `channels.allowed[2]`. Empty if the mistake concerns the whole file. */
  readonly path: string;
  readonly problem: string;
}

/** `config.yaml:3:20 sse.max_connections: expected an integer from 1 to 1000, got "many"` */
export function formatMistake({ file, line, column, path, problem }: Mistake): string {
  const place = `${file}:${line}:${column}`;
  return path === "" ? `${place}: ${problem}` : `${place} ${path}: ${problem}`;
}

/** `["channels", "allowed", 2]` becomes `channels.allowed[2]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") {
      return `${text}[${step}]`;
    }
    const name = String(step);
    if (!/^[\w-]+$/.test(name)) {
      return `${text}[${JSON.stringify(name)}]`;
    }
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

/** Describes a value in a mistake: a scalar by its text, a list or a mapping by its kind. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) {
    return "nothing";
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? "an empty list" : "a list";
  }
  if (typeof value === "object") {
    return "a mapping";
  }
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** The candidate that was probably meant, if one differs by at most two letters, or by fewer in a short word. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(word);
  const ranked = candidates
    .map((candidate) => ({ candidate, slips: distance(wanted, plain(candidate)) }))
    .filter(({ slips }) => slips <= Math.min(2, Math.floor(wanted.length / 3)))
    .toSorted((a, b) => a.slips - b.slips);
  return ranked[0]?.candidate;
}

/** Makes `maxConnections`, `max-connections` and `MAX_CONNECTIONS` the same word. */
function plain(word: string): string {
  return word
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "");
}

/** The Levenshtein distance: how many letters to insert, delete or change to turn one word into the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
