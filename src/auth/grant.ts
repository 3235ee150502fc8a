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
  const projectIds = both(terms.projectIds, grant.projectIds, common);
  const agentIds = both(terms.agentIds, grant.agentIds, common);
  return { ...(types && { types }), ...(projectIds && { projectIds }), ...(agentIds && { agentIds }) };
}

/**
 * The members of an event that a grant does not allow. A grant for certain ids does not allow an event without an id.
 */
export function forbiddenMembers(event: Filterable, grant: Grant): readonly string[] {
  const { types, projectIds, agentIds } = grant;
  return [
    ...(types === undefined || isListed(event.type, types) ? [] : ["type"]),
    ...(allowsId(event.projectId, projectIds) ? [] : ["project_id"]),
    ...(allowsId(event.agentId, agentIds) ? [] : ["agent_id"]),
  ];
}

function allowsId(id: string | null, granted: readonly string[] | undefined): boolean {
  return granted === undefined || (id !== null && granted.includes(id));
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
