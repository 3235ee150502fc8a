import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { Document, Pair, YAMLMap } from "yaml";

/** A mistake in the YAML itself, found before the schema checks keys and values. */
interface Slip {
  readonly offset: number;
  readonly path: readonly PropertyKey[];
  readonly problem: string;
  /** Whether the remaining values can still be checked: true after a repeated key, false after a missing bracket. */
  readonly readable: boolean;
}

export interface YamlSource {
  readonly slips: readonly Slip[];
  /** The plain value; `undefined` if the text cannot be parsed. */
  readonly value: unknown;
  /** The offset of a key. */
  keyOffset(path: readonly PropertyKey[]): number;
  /** The offset of the value of a key. */
  valueOffset(path: readonly PropertyKey[]): number;
  position(offset: number): { line: number; column: number };
}

/** The most uses of anchors in a file. Aliases of aliases can expand without bound (the "billion laughs" attack). */
const MAX_ALIASES = 100;

/** Parses YAML 1.2, where `off` and `1_000` are strings whatever a `%YAML` line says, and remembers every position. */
export function readYaml(text: string): YamlSource {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, schema: "core", merge: false, prettyErrors: false });
  const slips = [...slipsOfSyntax(document), ...slipsOfNodes(document)];
  const readable = slips.every((slip) => slip.readable);
  const read = readable ? plainValue(document) : undefined;
  return {
    slips: typeof read === "string" ? [...slips, { offset: 0, path: [], problem: read, readable }] : slips,
    value: typeof read === "string" ? undefined : read?.value,
    keyOffset: (path) => startOf(pairAt(document, path)?.key) ?? valueOffset(document, path),
    valueOffset: (path) => valueOffset(document, path),
    position: (offset) => {
      const { line, col } = lineCounter.linePos(offset);
      return { line: Math.max(line, 1), column: Math.max(col, 1) };
    },
  };
}

function slipsOfSyntax(document: Document): Slip[] {
  const errors = document.errors.map((error): Slip => {
    const [offset] = error.pos;
    if (error.code === "DUPLICATE_KEY") {
      return {
        offset,
        path: pathAt(document, offset),
        problem: "expected each key only once, got this key again",
        readable: true,
      };
    }
    if (error.code === "MULTIPLE_DOCS") {
      return { offset, path: [], problem: "expected one YAML document, got a second one", readable: true };
    }
    return { offset, path: [], problem: `expected valid YAML: ${error.message}`, readable: false };
  });
  const warnings = document.warnings.map((warning): Slip => {
    const [offset] = warning.pos;
    return {
      offset,
      path: pathAt(document, offset),
      problem: `expected plain YAML: ${warning.message}`,
      readable: true,
    };
  });
  return [...errors, ...warnings];
}

/** Finds mistakes that the parser accepts. A key that is not a name is removed, so that the rest can be checked. */
function slipsOfNodes(document: Document): Slip[] {
  const slips: Slip[] = [];
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined) {
        const problem = `expected an anchor &${alias.source} before this alias`;
        slips.push({ offset: startOf(alias) ?? 0, path: [], problem, readable: false });
      }
    },
    Pair(_key, { key }) {
      if (isScalar(key)) {
        return undefined;
      }
      const problem = "expected a plain name as the key";
      slips.push({ offset: startOf(key) ?? 0, path: [], problem, readable: true });
      return visit.REMOVE;
    },
  });
  return slips;
}

/** The document as a plain value, or the reason why it cannot become one. */
function plainValue(document: Document): { value: unknown } | string {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch {
    return `expected at most ${MAX_ALIASES} values from aliases, got more`;
  }
}

function valueOffset(document: Document, path: readonly PropertyKey[]): number {
  return startOf(nodeAt(document, path)) ?? startOf(pairAt(document, path)?.key) ?? 0;
}

function nodeAt(document: Document, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((node, step) => {
    const here = isAlias(node) ? node.resolve(document) : node;
    if (isMap(here)) {
      return findPair(here, step)?.value;
    }
    return isSeq(here) ? here.items[Number(step)] : undefined;
  }, document.contents);
}

function pairAt(document: Document, path: readonly PropertyKey[]): Pair | undefined {
  const parent = nodeAt(document, path.slice(0, -1));
  const step = path.at(-1);
  return isMap(parent) && step !== undefined ? findPair(parent, step) : undefined;
}

/** The last pair with this name. If a key is repeated, the value of the last one is used. */
function findPair(map: YAMLMap, step: PropertyKey): Pair | undefined {
  return map.items.findLast((pair) => nameOf(pair) === step);
}

/** The path to the pair at an offset. */
function pathAt(document: Document, offset: number): PropertyKey[] {
  let path: PropertyKey[] = [];
  visit(document, {
    Pair(_key, pair, parents) {
      const start = startOf(pair.key) ?? Infinity;
      const [, end = start] = rangeOf(pair.value) ?? rangeOf(pair.key) ?? [];
      if (start <= offset && offset <= end) {
        path = stepsTo(pair, parents);
      }
    },
  });
  return path;
}

function stepsTo(pair: Pair, parents: readonly unknown[]): PropertyKey[] {
  return [...parents, pair].flatMap((step, index, chain): PropertyKey[] => {
    const parent = chain[index - 1];
    if (isPair(step)) {
      return [nameOf(step)];
    }
    return isSeq(parent) ? [parent.items.indexOf(step)] : [];
  });
}

function nameOf({ key }: Pair): string {
  return String(isScalar(key) ? key.value : key);
}

function startOf(node: unknown): number | undefined {
  return rangeOf(node)?.[0];
}

function rangeOf(node: unknown): readonly number[] | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range ?? undefined;
}
