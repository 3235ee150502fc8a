import { prefixOf } from "./pattern.ts";

/** What a client asks for. An absent list lets everything through; entries of one list are ORed, lists are ANDed. */
export interface FilterTerms {
  /** Exact types, or prefixes that end in `*`. */
  readonly types?: readonly string[];
  /** Project ids, compared as strings. An event without one does not match. */
  readonly projectIds?: readonly string[];
  /** Agent ids, compared as strings. An event without one does not match. */
  readonly agentIds?: readonly string[];
}

/**
 * What a client gets as the data of a frame: the `data` of the event, or an `envelope`, which is the object that the
 * history shows, with the time at which the event was stored.
 */
export type EventForm = "data" | "envelope";

/** The fields of an event that a filter looks at. */
export interface Filterable {
  readonly type: string;
  readonly projectId: string | null;
  readonly agentId: string | null;
}

/** A compiled filter. Filters with equal terms and forms have equal keys, so that their clients can share pages. */
export interface Filter {
  readonly key: string;
  readonly terms: FilterTerms;
  readonly form: EventForm;
  /** Whether it lets everything through. */
  readonly isOpen: boolean;
  /** Whether it looks at the ids of projects or agents. */
  readonly needsIds: boolean;
  matches(event: Filterable): boolean;
}

/** Compiles terms into a filter. The terms are taken as valid: parsing is the caller's gate. */
export function createFilter(terms: FilterTerms, form: EventForm = "data"): Filter {
  const types = compileTypes(terms.types);
  const projectIds = compileIds(terms.projectIds);
  const agentIds = compileIds(terms.agentIds);
  return {
    key: JSON.stringify([
      sorted(types && terms.types),
      sorted(terms.projectIds),
      sorted(terms.agentIds),
      ...(form === "data" ? [] : [form]),
    ]),
    terms,
    form,
    isOpen: types === null && projectIds === null && agentIds === null,
    needsIds: projectIds !== null || agentIds !== null,
    matches(event) {
      return (
        (types === null || types(event.type)) &&
        (projectIds === null || (event.projectId !== null && projectIds.has(event.projectId))) &&
        (agentIds === null || (event.agentId !== null && agentIds.has(event.agentId)))
      );
    },
  };
}

function compileTypes(types: readonly string[] | undefined): ((type: string) => boolean) | null {
  if (types === undefined || types.includes("*")) {
    return null;
  }
  const exact = new Set(types.filter((type) => prefixOf(type) === null));
  const prefixes = uncovered(types.map(prefixOf).filter((prefix) => prefix !== null));
  return (type) => exact.has(type) || hasPrefix(type, prefixes);
}

/** The prefixes in order, without those that another one covers. */
function uncovered(prefixes: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const prefix of prefixes.toSorted(byCodeUnits)) {
    const last = kept.at(-1);
    if (last === undefined || !prefix.startsWith(last)) {
      kept.push(prefix);
    }
  }
  return kept;
}

/**
 * Whether a text starts with one of these prefixes. They are sorted and none covers another, so only the last one that
 * is not greater than the text can match: 100 prefixes cost 7 comparisons an event, whatever the types are.
 */
function hasPrefix(text: string, prefixes: readonly string[]): boolean {
  let low = 0;
  let high = prefixes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((prefixes[middle] ?? "") <= text) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const candidate = prefixes[low - 1];
  return candidate !== undefined && text.startsWith(candidate);
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function compileIds(ids: readonly string[] | undefined): ReadonlySet<string> | null {
  return ids === undefined ? null : new Set(ids);
}

function sorted(list: readonly string[] | null | undefined): readonly string[] | null {
  return list ? [...new Set(list)].toSorted() : null;
}

/** Hands out one filter for equal terms, as long as somebody holds it. */
export class FilterPool {
  readonly #held = new Map<string, { readonly filter: Filter; holders: number }>();

  acquire(terms: FilterTerms, form: EventForm = "data"): Filter {
    const filter = createFilter(terms, form);
    const held = this.#held.get(filter.key) ?? { filter, holders: 0 };
    held.holders++;
    this.#held.set(filter.key, held);
    return held.filter;
  }

  release(filter: Filter): void {
    const held = this.#held.get(filter.key);
    if (held !== undefined && --held.holders === 0) {
      this.#held.delete(filter.key);
    }
  }
}
