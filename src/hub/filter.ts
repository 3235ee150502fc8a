import { prefixOf } from "./pattern.ts";

/**
 * The events that a client asks for. Entries of one list are ORed, lists are ANDed, an absent list matches everything.
 */
export interface FilterTerms {
  /** Exact types, or prefixes that end in `*`. */
  readonly types?: readonly string[];
  /** For each field that counts, the values to match. An event without the field does not match. */
  readonly fields?: Readonly<Record<string, readonly string[]>>;
}

/** The values of an event's fields, by name. `filters.fields` of the configuration says which fields events have. */
export type Fields = Readonly<Record<string, string>>;

/** Shared by all events without fields. */
export const NO_FIELDS: Fields = Object.freeze({});

/**
 * What the data of a frame is. `data` is the event's own data. `envelope` is the object that the history route returns,
 * which includes the time at which the event was stored.
 */
export type EventForm = "data" | "envelope";

/** The parts of an event that filters compare. */
export interface Filterable {
  readonly type: string;
  readonly fields: Fields;
}

/** A compiled filter. Filters with equal terms and forms have equal keys. */
export interface Filter {
  readonly key: string;
  readonly terms: FilterTerms;
  readonly form: EventForm;
  /** Whether the filter matches every event. */
  readonly isOpen: boolean;
  /** Whether the filter compares fields. */
  readonly needsFields: boolean;
  matches(event: Filterable): boolean;
}

/** Compiles terms into a filter. The terms have to be valid. */
export function createFilter(terms: FilterTerms, form: EventForm = "data"): Filter {
  const types = compileTypes(terms.types);
  const fields = Object.entries(terms.fields ?? {}).toSorted(([a], [b]) => byCodeUnits(a, b));
  const wanted = fields.map(([name, values]) => ({ name, values: new Set(values) }));
  return {
    key: JSON.stringify([
      sorted(types && terms.types),
      fields.map(([name, values]) => [name, sorted(values)]),
      ...(form === "data" ? [] : [form]),
    ]),
    terms,
    form,
    isOpen: types === null && wanted.length === 0,
    needsFields: wanted.length > 0,
    matches(event) {
      if (types !== null && !types(event.type)) {
        return false;
      }
      for (const { name, values } of wanted) {
        const value = event.fields[name];
        if (value === undefined || !values.has(value)) {
          return false;
        }
      }
      return true;
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

/** The prefixes in order, without the prefixes that a shorter one covers. */
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
 * Whether a text starts with one of these prefixes. The prefixes are sorted and none covers another, so only the last
 * prefix that is not greater than the text can match. A binary search finds it: 100 prefixes cost 7 comparisons per
 * event, whatever types a client or a publisher chooses.
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

function sorted(list: readonly string[] | null | undefined): readonly string[] | null {
  return list ? [...new Set(list)].toSorted() : null;
}

/** Gives clients with equal terms the same filter, so that they can share pages. */
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
