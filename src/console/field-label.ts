/** The name of a field for people: `project_id` becomes `project`, `cost_center` becomes `cost center`. */
export function labelOf(field: string): string {
  return field
    .replace(/(?<=.)_id$/, "")
    .replaceAll("_", " ")
    .trim();
}

export function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
