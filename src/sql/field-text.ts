import { NO_FIELDS, type Fields } from "../hub/filter.ts";

/** Stands between names and values. Neither can have one: see `isFieldValue`. */
const SEPARATOR = ",";

/**
 * The fields of an event as one text of a row: names and values in turn, or null if there are none. One column holds all of
 * them, so a field that no event uses costs nothing, and the configuration can change without touching the table.
 */
export function fieldText(fields: Fields): string | null {
  let text: string | null = null;
  for (const name in fields) {
    const pair = name + SEPARATOR + (fields[name] ?? "");
    text = text === null ? pair : text + SEPARATOR + pair;
  }
  return text;
}

/**
 * Reads a `fieldText`. A row of an earlier version has a project id in its place, and an agent id in another column. That id
 * has no separator, and a name with its value has one, so the two cannot be mistaken for each other.
 */
export function fieldsOf(text: string | null, agentId: string | null): Fields {
  if (text === null && agentId === null) {
    return NO_FIELDS;
  }
  if (text === null || !text.includes(SEPARATOR)) {
    return { ...(text !== null && { project_id: text }), ...(agentId !== null && { agent_id: agentId }) };
  }
  const parts = text.split(SEPARATOR);
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < parts.length; index += 2) {
    fields[parts[index] ?? ""] = parts[index + 1] ?? "";
  }
  return fields;
}
