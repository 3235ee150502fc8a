import { NO_FIELDS, type Fields } from "../hub/filter.ts";

/**
 * The fields of an event as one text of a row: a JSON list of names and values, or null if there are none. One column holds
 * all of them, so a field that no event uses costs nothing, and the configuration can change without touching the table.
 */
export function fieldText(fields: Fields): string | null {
  const pairs = Object.entries(fields);
  return pairs.length === 0 ? null : JSON.stringify(pairs.flat());
}

/**
 * Reads a `fieldText`. A row of an earlier version has a project id in its place, and an agent id in another column. Ids have
 * no commas, and a list of names and values has at least one, so the two cannot be mistaken for each other.
 */
export function fieldsOf(text: string | null, agentId: string | null): Fields {
  if (text === null && agentId === null) {
    return NO_FIELDS;
  }
  if (text === null || !text.includes(",")) {
    return { ...(text !== null && { project_id: text }), ...(agentId !== null && { agent_id: agentId }) };
  }
  const list = JSON.parse(text) as readonly string[];
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < list.length; index += 2) {
    fields[list[index] ?? ""] = list[index + 1] ?? "";
  }
  return fields;
}
