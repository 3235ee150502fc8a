/** A rule of `_headers`: a pattern for paths, and changes to the headers. */
interface Rule {
  readonly pattern: RegExp;
  readonly changes: readonly Change[];
}

/** `Name: value` adds a header. `! Name` removes the one that an earlier rule has set. */
type Change = { readonly name: string; readonly value: string | undefined };

/**
 * Parses `_headers` as Cloudflare does for static files: lines with a path, each followed by indented lines with
 * headers. `*` matches anything, and `:name` matches up to the next slash. Values can use both, as `:splat` and
 * `:name`. Rules for other hosts (`https://...`) match nothing here.
 */
export function parseHeadersFile(text: string): (path: string, headers: Headers) => void {
  const rules = readRules(text);
  return (path, headers) => {
    const set = new Set<string>();
    for (const { pattern, changes } of rules) {
      const match = pattern.exec(path);
      for (const { name, value } of match === null ? [] : changes) {
        if (value === undefined) {
          headers.delete(name);
        } else {
          apply(headers, set, name, fill(value, match?.groups ?? {}));
        }
      }
    }
  };
}

/** The first rule replaces the header that the server would send. Later rules add to it. */
function apply(headers: Headers, set: Set<string>, name: string, value: string): void {
  if (set.has(name)) {
    headers.append(name, value);
  } else {
    headers.set(name, value);
  }
  set.add(name);
}

function readRules(text: string): Rule[] {
  const rules: { pattern: RegExp; changes: Change[] }[] = [];
  for (const line of text.split(/\r?\n/)) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) {
      continue;
    }
    if (/^\S/.test(line)) {
      rules.push({ pattern: toPattern(trimmed), changes: [] });
    } else {
      rules.at(-1)?.changes.push(toChange(trimmed));
    }
  }
  return rules;
}

function toChange(line: string): Change {
  if (line.startsWith("!")) {
    return { name: line.slice(1).trim().toLowerCase(), value: undefined };
  }
  const colon = line.indexOf(":");
  return { name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() };
}

function toPattern(path: string): RegExp {
  const source = path
    .replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replace("*", "(?<splat>.*)")
    .replaceAll(/:([A-Za-z]\w*)/g, "(?<$1>[^/]+)");
  return new RegExp(`^${source}$`);
}

function fill(value: string, groups: Record<string, string>): string {
  return value.replaceAll(/:([A-Za-z]\w*)/g, (whole, name: string) => groups[name] ?? whole);
}
