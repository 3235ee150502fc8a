import type { Grant } from "./grant.ts";

/** The groups of routes. */
export type Group = "publish" | "subscribe" | "admin" | "metrics";

/** The grant of a token for each group of routes. A group without a grant is closed to the token. */
export type Grants = { readonly [Name in Group]?: Grant };

/** The most entries in a list of a grant or a filter: the hub compares every event with them. */
export const LIST_ENTRIES = 100;

/** The most characters of an entry. */
const ENTRY_LENGTH = 128;

/**
 * Reads the grants in a claim such as `{"subscribe":{"channels":["board-*"],"project_id":[7]},"admin":true}`.
 *
 * @param fields the names of the fields that a grant may list values of
 * @returns null for a malformed claim. An unknown word makes it malformed: to ignore `channel` for `channels` would
 *   grant all channels.
 */
export function readGrants(claim: unknown, fields: readonly string[]): Grants | null {
  if (!isObject(claim)) {
    return null;
  }
  const { publish, subscribe, admin = false, metrics = false, ...others } = claim;
  const lists = { publish: readGrant(publish, fields), subscribe: readGrant(subscribe, fields) };
  const isRead = lists.publish !== null && lists.subscribe !== null;
  if (
    !isRead ||
    typeof admin !== "boolean" ||
    typeof metrics !== "boolean" ||
    Object.keys(others).length > 0
  ) {
    return null;
  }
  return {
    ...(lists.publish && { publish: lists.publish }),
    ...(lists.subscribe && { subscribe: lists.subscribe }),
    ...(admin && { admin: {} }),
    ...(metrics && { metrics: {} }),
  };
}

function readGrant(value: unknown, names: readonly string[]): Grant | undefined | null {
  if (value === undefined) {
    return undefined;
  }
  if (!isObject(value)) {
    return null;
  }
  const patterns: Record<string, readonly string[]> = {};
  const fields: Record<string, readonly string[]> = {};
  for (const [name, entries] of Object.entries(value)) {
    const isField = names.includes(name);
    const texts = readList(entries, isField);
    if (texts === null || !(isField || name === "channels" || name === "types")) {
      return null;
    }
    (isField ? fields : patterns)[name] = texts;
  }
  return { ...patterns, ...(Object.keys(fields).length > 0 && { fields }) };
}

/** Reads the entries of a list. Values of fields may be numbers, which are compared as decimal text, like those of events. */
function readList(entries: unknown, areValues: boolean): readonly string[] | null {
  if (!Array.isArray(entries) || entries.length > LIST_ENTRIES) {
    return null;
  }
  const texts = entries.map((entry: unknown) =>
    areValues && Number.isSafeInteger(entry) ? String(entry) : entry,
  );
  return texts.every(isEntry) ? texts : null;
}

function isEntry(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= ENTRY_LENGTH;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
