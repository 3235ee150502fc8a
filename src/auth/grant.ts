import type { Filterable, FilterTerms } from "../hub/filter.ts";
import { commonPatterns, isListed } from "../hub/pattern.ts";

/** What a token may read or publish. As in a filter, an absent list grants everything, and an empty list nothing. */
export interface Grant extends FilterTerms {
  /** Names, prefixes ending in `*`, or `*`. */
  readonly channels?: readonly string[];
}

/** Grants everything. */
export const WHOLE: Grant = {};

/** Whether a grant includes a channel. */
export function grantsChannel(grant: Grant, channel: string): boolean {
  return grant.channels === undefined || isListed(channel, grant.channels);
}

/** Narrows a filter to a grant. Events outside the grant are hidden, in replay and live alike. */
export function narrow(terms: FilterTerms, grant: Grant): FilterTerms {
  const types = both(terms.types, grant.types, commonPatterns);
  const fields: Record<string, readonly string[]> = { ...terms.fields };
  for (const [name, granted] of Object.entries(grant.fields ?? {})) {
    fields[name] = Object.hasOwn(fields, name) ? common(fields[name] ?? [], granted) : granted;
  }
  return { ...(types && { types }), ...(Object.keys(fields).length > 0 && { fields }) };
}

/**
 * The members of an event that a grant does not allow. A grant for certain values of a field does not allow an event without
 * the field.
 */
export function forbiddenMembers(event: Filterable, grant: Grant): readonly string[] {
  const { types, fields = {} } = grant;
  const forbidden = Object.entries(fields).filter(([name, values]) => !allows(values, event.fields[name]));
  return [
    ...(types === undefined || isListed(event.type, types) ? [] : ["type"]),
    ...forbidden.map(([name]) => name),
  ];
}

function allows(granted: readonly string[], value: string | undefined): boolean {
  return value !== undefined && granted.includes(value);
}

function both(
  asked: readonly string[] | undefined,
  granted: readonly string[] | undefined,
  intersect: (a: readonly string[], b: readonly string[]) => readonly string[],
): readonly string[] | undefined {
  return asked === undefined || granted === undefined ? (asked ?? granted) : intersect(asked, granted);
}

function common(a: readonly string[], b: readonly string[]): readonly string[] {
  return a.filter((entry) => b.includes(entry));
}
